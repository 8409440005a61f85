#include "cli/rows.h"

#include <stdio.h>
#include <string.h>

json_t *row_doc(const struct snapshot_row *row)
{
    const struct snapshot *s = &row->snap;
    char id[ID_HEX_BYTES];
    json_t *doc = json_doc();
    json_put_id(doc, "id", &s->id);
    json_put_str(doc, "short_id", id_short(id, &s->id));
    json_put_u64(doc, "sequence", row->sequence);
    json_put_time(doc, "time", s->time);
    json_put_str(doc, "set", s->set);
    json_put_str(doc, "kind", kind_text(s->kind));
    json_put_str(doc, "host", s->host);
    json_put_str(doc, "user", s->user);
    json_put_strs(doc, "tags", s->tags, s->tag_count);
    json_put_strs(doc, "holds", row->holds, row->hold_count);
    json_put_str(doc, "state", row_state(row));
    json_put_u64(doc, "bytes", s->bytes_source);
    json_put_u64(doc, "bytes_added", s->bytes_added);
    json_put(doc, "sources", json_list());
    for (size_t i = 0; i < s->item_count; i++)
        json_append_str(doc, "sources", s->items[i].source);
    if (row->verified_at.sec != 0)
        json_put_time(doc, "verified_at", row->verified_at);
    else
        json_put_str(doc, "verified_at", NULL);
    return doc;
}

enum errc cli_row(struct store *s, const struct snapshot_id *id, struct snapshot_row *out, struct err *err)
{
    bool found = false;
    enum errc rc = catalog_snapshot(store_catalog(s), id, out, &found, err);
    if (rc != ERR_OK || found)
        return rc;
    char hex[ID_HEX_BYTES];
    return err_fail(err, ERR_CATALOG, "the catalog does not know snapshot %s", id_hex(hex, id));
}

const char *names_text(char *dst, size_t cap, char *const *names, size_t count)
{
    size_t used = 0;
    dst[0] = '\0';
    for (size_t i = 0; i < count && used < cap; i++) {
        int n = snprintf(dst + used, cap - used, "%s%s", i ? ", " : "", names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return dst;
}

const char *level_text(char dst[40], uint32_t level)
{
    snprintf(dst, 40, "%s%s%s", level & 1 ? "structure" : "", level & 2 ? ", data" : "",
             level & 4 ? ", databases" : "");
    return dst;
}
