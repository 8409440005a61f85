/* A directory whose files are read together, for stores that are more than one file. Layer: source.
 *
 * Names are of one or two components ("data_level0.bin", "<uuid>/header.bin"), never absolute, never with "." or "..".
 */
#ifndef SNAP_SOURCE_VECTORS_DIR_H
#define SNAP_SOURCE_VECTORS_DIR_H

#include "source/vectors/vectors.h"

struct vector_dir {
    /* *in_out->read works until close; *there_out false (and ERR_OK, nothing to close) when there is no such regular
     * file. */
    enum errc (*open)(void *arg, const char *name, struct vector_input *in_out, bool *there_out, struct err *err);
    void (*close)(void *arg, struct vector_input *in);
    /* Each name in the directory sub ("": the directory itself), in no order, "." and ".." left out; none when there is
     * no such directory. Stops at the first error of each. */
    enum errc (*list)(void *arg, const char *sub, enum errc (*each)(void *each_arg, const char *name, struct err *err),
                      void *each_arg, struct err *err);
    void *arg;
};

/* Files below an open directory. Symbolic links are not followed. fd has to stay open and in place. */
struct vector_dir vector_dir_at(const int *fd);

#endif
