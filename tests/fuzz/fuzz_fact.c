/* Lists of facts: whatever is read can be written, and reads the same again. */
#include "format/fact.h"

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fact_list l, again;
    struct buf b;
    buf_init(&b, FACTS_MAX_BYTES);
    if (fact_list_get(data, size, &l, NULL) == ERR_OK) {
        REQUIRE(fact_list_put(&b, &l, NULL) == ERR_OK && b.len == l.encoded_bytes);
        REQUIRE(fact_list_get(b.data, b.len, &again, NULL) == ERR_OK && again.count == l.count);
        for (size_t i = 0; i < l.count; i++)
            REQUIRE(fact_equal(&l.facts[i], &again.facts[i]) && fact_find(&l, l.facts[i].key) == &l.facts[i]);
        fact_list_release(&again);
    }
    fact_list_release(&l);
    buf_release(&b);
    return 0;
}
