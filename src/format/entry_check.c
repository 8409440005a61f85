/* Limits of entries, the same for encoder and decoder. */
#include <string.h>

#include "base/path.h"
#include "format/entry_wire.h"

static bool has_nul(const char *s, size_t len)
{
    return len > 0 && memchr(s, 0, len) != NULL;
}

static const char *link_fault(const struct entry *e)
{
    bool is_link = e->type == ENTRY_SYMLINK || e->type == ENTRY_HARDLINK;
    if (is_link != (e->link_target_len > 0))
        return is_link ? "a link without a target" : "a target without a link";
    if (e->link_target_len > PATH_MAX_BYTES || has_nul(e->link_target, e->link_target_len))
        return "a malformed link target";
    if (e->type == ENTRY_HARDLINK && !path_is_safe_relative(e->link_target, e->link_target_len))
        return "a hard link to an unsafe path";
    return NULL;
}

const char *entry_fault(const struct entry *e)
{
    if (e->path_len > PATH_MAX_BYTES)
        return "its path is too long";
    if (!path_is_safe_relative(e->path_len ? e->path : "", e->path_len))
        return "its path is unsafe";
    if (e->type < ENTRY_FILE || e->type > ENTRY_ABSENT)
        return "its type is unknown";
    if (e->mode > 07777)
        return "its mode has unknown bits";
    if (e->mtime.nsec > 999999999 || e->ctime.nsec > 999999999)
        return "a time is malformed";
    if (e->size > INT64_MAX)
        return "its size is out of range";
    if (e->user_len > NAME_MAX_BYTES || e->group_len > NAME_MAX_BYTES)
        return "the name of its owner is too long";
    if (has_nul(e->user, e->user_len) || has_nul(e->group, e->group_len))
        return "the name of its owner is malformed";
    if (e->xattrs_len > XATTR_INLINE_MAX_BYTES || !xattrs_well_formed(e->xattrs, e->xattrs_len))
        return "its extended attributes are malformed or too long";
    if (e->xattr_streams_len > XATTR_STREAMS_MAX_BYTES ||
        !xattr_streams_well_formed(e->xattr_streams, e->xattr_streams_len))
        return "its large extended attributes are malformed or too many";
    if (e->probe_len > PROBE_MAX_BYTES)
        return "its probe is too long";
    return link_fault(e);
}

const char *entry_end_fault(const struct entry_end *end)
{
    if (end->size > INT64_MAX)
        return "its size is out of range";
    if (end->facts_len > FACTS_MAX_BYTES)
        return "its facts are too long";
    if (end->reason_len > TEXT_MAX_BYTES || has_nul(end->reason, end->reason_len))
        return "the reason of its state is malformed";
    return NULL;
}
