/* Log bodies: whatever is read can be written, and reads the same again. Frames: nothing made up opens. */
#include <string.h>

#include "base/limits.h"
#include "format/log_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct repo_id repo = {{1, 2, 3}};
    static const struct key_bundle keys = {.data_count = 1, .data = {{.id = 1, .key = {1}}}};
    struct buf first, second;
    buf_init(&first, 2 * LOG_RECORD_MAX_BYTES);
    buf_init(&second, 2 * LOG_RECORD_MAX_BYTES);
    REQUIRE(log_frame_open(data, size, &repo, &keys, 7, &first, NULL) != ERR_OK && first.len == 0);
    struct log_body body, again;
    if (log_body_get(data, size, &body, NULL) == ERR_OK) {
        if (body.head.kind <= LOG_CHECKPOINT) {
            REQUIRE(log_body_put(&first, &body, NULL) == ERR_OK);
            REQUIRE(log_body_get(first.data, first.len, &again, NULL) == ERR_OK);
            REQUIRE(log_body_put(&second, &again, NULL) == ERR_OK);
            REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
            log_body_release(&again);
        }
        log_body_release(&body);
    }
    buf_release(&first);
    buf_release(&second);
    return 0;
}
