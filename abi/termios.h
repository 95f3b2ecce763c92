// SPDX-License-Identifier: MIT
#pragma once
/* Terminals: termios(3) as the kernel sees it, and their ioctls (uapi/asm-generic/ioctls.h, termbits.h). */
#include <stdint.h>

#define ABI_TCGETS         0x5401u
#define ABI_TCSETS         0x5402u
#define ABI_TCSETSW        0x5403u
#define ABI_TCSETSF        0x5404u
#define ABI_TCGETA         0x5405u
#define ABI_TCSETA         0x5406u
#define ABI_TCSETAW        0x5407u
#define ABI_TCSETAF        0x5408u
#define ABI_TCSBRK         0x5409u
#define ABI_TCXONC         0x540Au
#define ABI_TCFLSH         0x540Bu
#define ABI_TIOCEXCL       0x540Cu
#define ABI_TIOCNXCL       0x540Du
#define ABI_TIOCSCTTY      0x540Eu
#define ABI_TIOCGPGRP      0x540Fu
#define ABI_TIOCSPGRP      0x5410u
#define ABI_TIOCOUTQ       0x5411u
#define ABI_TIOCSTI        0x5412u
#define ABI_TIOCGWINSZ     0x5413u
#define ABI_TIOCSWINSZ     0x5414u
#define ABI_FIONREAD       0x541Bu
#define ABI_TIOCCONS       0x541Du
#define ABI_TIOCNOTTY      0x5422u
#define ABI_TIOCGSID       0x5429u
#define ABI_TCGETS2        0x802C542Au
#define ABI_TCSETS2        0x402C542Bu
#define ABI_TCSETSW2       0x402C542Cu
#define ABI_TCSETSF2       0x402C542Du
#define ABI_TCSBRKP        0x5425u
#define ABI_TIOCGPTN       0x80045430u
#define ABI_TIOCSPTLCK     0x40045431u
#define ABI_TIOCGPTLCK     0x80045439u
#define ABI_TIOCGPTPEER    0x5441u
#define ABI_TIOCPKT        0x5420u
#define ABI_TIOCGPKT       0x80045438u
#define ABI_TIOCVHANGUP    0x5437u
#define ABI_TIOCGLCKTRMIOS 0x5456u
#define ABI_TIOCSLCKTRMIOS 0x5457u

#define ABI_NCCS 19

struct abi_termios {
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[ABI_NCCS];
};
_Static_assert(sizeof(struct abi_termios) == 36, "struct termios");

struct abi_termio {
    uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[8];
};
_Static_assert(sizeof(struct abi_termio) == 18, "struct termio");

struct abi_termios2 {
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[ABI_NCCS];
    uint32_t c_ispeed, c_ospeed;
};
_Static_assert(sizeof(struct abi_termios2) == 44, "struct termios2");

struct abi_winsize {
    uint16_t ws_row, ws_col, ws_xpixel, ws_ypixel;
};

/* c_cc */
#define ABI_VINTR    0
#define ABI_VQUIT    1
#define ABI_VERASE   2
#define ABI_VKILL    3
#define ABI_VEOF     4
#define ABI_VTIME    5
#define ABI_VMIN     6
#define ABI_VSTART   8
#define ABI_VSTOP    9
#define ABI_VSUSP    10
#define ABI_VEOL     11
#define ABI_VREPRINT 12
#define ABI_VWERASE  14
#define ABI_VLNEXT   15
#define ABI_VEOL2    16

/* c_iflag */
#define ABI_IGNBRK  0000001u
#define ABI_BRKINT  0000002u
#define ABI_ISTRIP  0000040u
#define ABI_INLCR   0000100u
#define ABI_IGNCR   0000200u
#define ABI_ICRNL   0000400u
#define ABI_IXON    0002000u
#define ABI_IXANY   0004000u
#define ABI_IMAXBEL 0020000u
#define ABI_IUTF8   0040000u

/* c_oflag */
#define ABI_OPOST  0000001u
#define ABI_OLCUC  0000002u
#define ABI_ONLCR  0000004u
#define ABI_OCRNL  0000010u
#define ABI_ONOCR  0000020u
#define ABI_ONLRET 0000040u

/* c_cflag */
#define ABI_B38400 0000017u
#define ABI_CS8    0000060u
#define ABI_CREAD  0000200u

/* c_lflag */
#define ABI_ISIG    0000001u
#define ABI_ICANON  0000002u
#define ABI_ECHO    0000010u
#define ABI_ECHOE   0000020u
#define ABI_ECHOK   0000040u
#define ABI_ECHONL  0000100u
#define ABI_NOFLSH  0000200u
#define ABI_TOSTOP  0000400u
#define ABI_ECHOCTL 0001000u
#define ABI_ECHOKE  0004000u
#define ABI_IEXTEN  0100000u

/* tcflush(3), tcflow(3) */
#define ABI_TCIFLUSH  0
#define ABI_TCOFLUSH  1
#define ABI_TCIOFLUSH 2
#define ABI_TCOOFF    0
#define ABI_TCOON     1
