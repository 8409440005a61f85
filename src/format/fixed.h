/* Little-endian integers at fixed places of fixed-size structures. Layer: format, private. */
#ifndef SNAP_FORMAT_FIXED_H
#define SNAP_FORMAT_FIXED_H

#include <stdint.h>

static inline void set_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void set_u32(uint8_t *p, uint32_t v)
{
    set_u16(p, (uint16_t)v);
    set_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void set_u64(uint8_t *p, uint64_t v)
{
    set_u32(p, (uint32_t)v);
    set_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
