// SPDX-License-Identifier: MIT
/*
 * An instruction is prefixes, an opcode of one to three bytes, a ModRM byte with SIB and displacement, and an
 * immediate (SDM 2A, figure 2-1).  Only which of these follow matters here, so a character an opcode says it
 * all:
 *
 *   .  nothing        m  ModRM            b  imm8         w  imm16        z  imm32, or 16 with prefix 66
 *   B  ModRM, imm8    Z  ModRM, immz      r  rel32        q  imm of the operand's size (mov)
 *   a  address-sized offset                e  imm16, imm8  f  ModRM, imm8 if /0 or /1   F  likewise immz
 *   p  prefix         x  REX              -  not valid in 64-bit mode
 */
#include "lib/x86_length.h"

static const char one_byte[] = "mmmmbz--mmmmbz-0"
                               "mmmmbz--mmmmbz--"
                               "mmmmbzp-mmmmbzp-"
                               "mmmmbzp-mmmmbzp-"
                               "xxxxxxxxxxxxxxxx"
                               "................"
                               "--5mppppzZbB...."
                               "bbbbbbbbbbbbbbbb"
                               "BZ-Bmmmmmmmmmmmm"
                               "..........-....."
                               "aaaa....bz......"
                               "bbbbbbbbqqqqqqqq"
                               "BBw.43BZe.w..b-."
                               "mmmm---.mmmmmmmm"
                               "bbbbbbbbrr-b...."
                               "p.pp..fF......mm";

/* The page 0f; 38 and 3a lead to the three-byte pages. */
static const char two_byte[] = "mmmm-.....-.-m.B"
                               "mmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmm"
                               "........8-9-----"
                               "mmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmm"
                               "BBBBmmm.mmmmmmmm"
                               "rrrrrrrrrrrrrrrr"
                               "mmmmmmmmmmmmmmmm"
                               "...mBmmm...mBmmm"
                               "mmmmmmmmmmBmmmmm"
                               "mmBmBBBm........"
                               "mmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmm"
                               "mmmmmmmmmmmmmmmm";

struct decoder {
    const uint8_t *code;
    size_t max;
    size_t at;
    bool has_66, has_67, has_rex_w;
    bool is_bad;
};

static uint8_t take(struct decoder *d)
{
    if (d->at >= d->max || d->at >= X86_LENGTH_MAX) {
        d->is_bad = true;
        return 0;
    }
    return d->code[d->at++];
}

static void skip(struct decoder *d, size_t n)
{
    d->at += n;
    if (d->at > d->max || d->at > X86_LENGTH_MAX)
        d->is_bad = true;
}

/* ModRM with SIB and displacement (SDM 2A, tables 2-2 and 2-3); its reg field. */
static unsigned skip_modrm(struct decoder *d)
{
    uint8_t modrm = take(d);
    unsigned mod = modrm >> 6, rm = modrm & 7;
    if (mod == 3)
        return modrm >> 3 & 7;
    unsigned base = rm;
    if (rm == 4)
        base = take(d) & 7;
    if (mod == 1)
        skip(d, 1);
    else if (mod == 2 || (mod == 0 && base == 5 && (rm == 4 || rm == 5)))
        skip(d, 4);
    return modrm >> 3 & 7;
}

static size_t size_z(const struct decoder *d)
{
    return d->has_66 && !d->has_rex_w ? 2 : 4;
}

static void skip_operands(struct decoder *d, char kind)
{
    unsigned reg;
    switch (kind) {
    case '.':
        break;
    case 'm':
        skip_modrm(d);
        break;
    case 'b':
        skip(d, 1);
        break;
    case 'w':
        skip(d, 2);
        break;
    case 'e':
        skip(d, 3);
        break;
    case 'z':
        skip(d, size_z(d));
        break;
    case 'r':
        skip(d, 4);
        break;
    case 'q':
        skip(d, d->has_rex_w ? 8 : size_z(d));
        break;
    case 'a':
        skip(d, d->has_67 ? 4 : 8);
        break;
    case 'B':
        skip_modrm(d);
        skip(d, 1);
        break;
    case 'Z':
        skip_modrm(d);
        skip(d, size_z(d));
        break;
    case 'f':
    case 'F':
        reg = skip_modrm(d);
        if (reg < 2)
            skip(d, kind == 'f' ? 1 : size_z(d));
        break;
    default:
        d->is_bad = true;
        break;
    }
}

/* After a VEX or EVEX prefix: the opcode page is a number (1: 0f, 2: 0f38, 3: 0f3a). */
static void skip_vex(struct decoder *d, unsigned page)
{
    uint8_t opcode = take(d);
    if (page == 1 && opcode == 0x77) /* vzeroupper */
        skip_operands(d, '.');
    else if (page == 1)
        skip_operands(d, two_byte[opcode] == 'B' ? 'B' : 'm');
    else if (page == 2 || page == 5 || page == 6)
        skip_operands(d, 'm');
    else if (page == 3)
        skip_operands(d, 'B');
    else
        d->is_bad = true;
}

static void skip_xop(struct decoder *d)
{
    unsigned page = take(d) & 31;
    skip(d, 2);
    if (page == 8)
        skip_operands(d, 'B');
    else
        skip_operands(d, page == 9 ? 'm' : 'Z');
}

static void decode_two_byte(struct decoder *d)
{
    char kind = two_byte[take(d)];
    if (kind == '8' || kind == '9') {
        take(d);
        kind = kind == '8' ? 'm' : 'B';
    }
    skip_operands(d, kind);
}

static void decode(struct decoder *d)
{
    uint8_t opcode = take(d);
    while (one_byte[opcode] == 'p' && !d->is_bad) {
        d->has_66 |= opcode == 0x66;
        d->has_67 |= opcode == 0x67;
        opcode = take(d);
    }
    if (one_byte[opcode] == 'x') {
        d->has_rex_w = opcode & 8;
        opcode = take(d);
    }
    char kind = one_byte[opcode];
    if (kind == '0') {
        decode_two_byte(d);
    } else if (kind == '3') { /* c5: two-byte VEX */
        take(d);
        skip_vex(d, 1);
    } else if (kind == '4') { /* c4: three-byte VEX */
        unsigned page = take(d) & 31;
        take(d);
        skip_vex(d, page);
    } else if (opcode == 0x8f && d->at < d->max && (d->code[d->at] & 31) >= 8) { /* XOP (AMD) */
        skip_xop(d);
    } else if (kind == '5') { /* 62: EVEX */
        unsigned page = take(d) & 7;
        skip(d, 2);
        skip_vex(d, page);
    } else {
        skip_operands(d, kind);
    }
}

size_t x86_length(const uint8_t *code, size_t max)
{
    struct decoder d = { .code = code, .max = max };
    decode(&d);
    return d.is_bad ? 0 : d.at;
}

bool x86_is_hlt(const uint8_t *code, size_t len, size_t target)
{
    size_t at = 0;
    while (at < target) {
        size_t n = x86_length(code + at, len - at);
        if (n == 0)
            return false;
        at += n;
    }
    return at == target && at < len && code[at] == 0xf4;
}
