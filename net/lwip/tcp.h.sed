# A connection keeps what net/tcp_recovery.c knows of it.
s/^struct tcp_pcb {/#include "net\/tcp_recovery.h"\n\n&/
s/^  u32_t rto_end;/&\n  struct tcp_recovery recovery;/
# A listener may have more than 255 handshakes.
s/^  u8_t backlog;/  u16_t backlog;/
s/^  u8_t accepts_pending;/  u16_t accepts_pending;/
