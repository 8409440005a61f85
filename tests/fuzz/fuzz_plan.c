/* A restore plan is read from the log: whatever it says, it is refused or makes a plan that can be written again and
 * read back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "engine/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts plan = {0}, again = {0};
    struct buf once, twice;
    struct err err;
    buf_init(&once, LOG_RECORD_MAX_BYTES * 4);
    buf_init(&twice, LOG_RECORD_MAX_BYTES * 4);
    if (parts_get(data, size, &plan, &err) == ERR_OK) {
        REQUIRE(parts_put(&once, &plan, &err) == ERR_OK);
        REQUIRE(parts_get(once.data, once.len, &again, &err) == ERR_OK);
        REQUIRE(again.count == plan.count);
        REQUIRE(parts_put(&twice, &again, &err) == ERR_OK);
        REQUIRE(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    parts_release(&plan);
    parts_release(&again);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
