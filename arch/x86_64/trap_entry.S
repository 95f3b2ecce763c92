// SPDX-License-Identifier: MIT
/*
 * Entry of faults and interrupts.
 *
 * The application runs in ring 0 too, so an interrupt does not change stacks, and the CPU would push its
 * frame over the application's red zone (System V ABI, 3.2.2).  Every vector therefore uses an IST stack.
 * The common ones (IST_TRAP) only pass through it: with interrupts off the frame is moved to the thread's
 * kernel stack at once, so that the handler may sleep and fault again.  Where to is decided by the
 * interrupted rsp, and by rip only when that is nowhere sensible:
 *
 *   in (bottom, top] of this thread's kernel stack   kernel interrupted: continue below it (the kernel has no
 *                                                    red zone)
 *   in the application half                          application interrupted: start at the top
 *   anywhere else, rip in the application half       an application with a wild rsp: the same; what it pushes is
 *                                                    its own fault
 *   anywhere else (guard page, IST, boot stack)      our bug: trap_bad_stack() reports and never returns
 *
 * NMI, #DF and #MC stay on their own stacks.  #DB stays on its own if it hit the kernel (a single step into the
 * syscall entry, memory that a tracer watches) and is moved if it hit the application.
 */
#include "offsets.h"

/* The general registers of struct regs, in its order from the top down and back. */
    .macro PUSH_REGS
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rcx
    pushq %rax
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro POP_REGS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %rax
    popq %rcx
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    .endm

/* What is not saved of struct regs at patched_entry, all but the result. */
    .macro SAVE_REST
    movq %r15, REGS_R15(%rsp)
    movq %r14, REGS_R14(%rsp)
    movq %r13, REGS_R13(%rsp)
    movq %r12, REGS_R12(%rsp)
    movq %rbx, REGS_RBX(%rsp)
    movq REGS_RIP(%rsp), %r11
    movq %r11, REGS_RCX(%rsp)
    movq $RFLAGS_USUAL, REGS_R11(%rsp)
    movq $RFLAGS_USUAL, REGS_RFLAGS(%rsp)
    movq $KERNEL_CS, REGS_CS(%rsp)
    movq $KERNEL_DS, REGS_SS(%rsp)
    .endm

/* What a system call was given, which it gets back. */
    .macro LOAD_ARGS
    movq REGS_R10(%rsp), %r10
    movq REGS_R9(%rsp), %r9
    movq REGS_R8(%rsp), %r8
    movq REGS_RDX(%rsp), %rdx
    movq REGS_RSI(%rsp), %rsi
    movq REGS_RDI(%rsp), %rdi
    .endm

    .section .text.entry, "ax"

/* ---- The 256 stubs: [vector] [error code] on top of the CPU's frame. ---- */

    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    .if vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK
    jmp trap_stay
    .elseif vector == VECTOR_DEBUG
    jmp trap_debug
    .else
    jmp trap_move
    .endif
    .set vector, vector + 1
    .endr

/* On an IST stack: rax rcx rdx (pushed here) vector error rip cs rflags rsp ss. */
#define AT_VECTOR 24
#define AT_ERROR  32
#define AT_RIP    40
#define AT_CS     48
#define AT_RFLAGS 56
#define AT_RSP    64
#define AT_SS     72

    .balign 16
trap_move:
    pushq %rax
    pushq %rcx
    pushq %rdx
    movq AT_RIP(%rsp), %rdx
    subq $syscall_entry, %rdx
    cmpq $(entries_end - syscall_entry), %rdx
    jb in_entry
move:
    movq AT_RSP(%rsp), %rdx
    movq %gs:PERCPU_CURRENT, %rax
    cmpq THREAD_STACK_BOTTOM(%rax), %rdx
    jbe 1f
    cmpq THREAD_STACK_TOP(%rax), %rdx
    ja 1f
    andq $-16, %rdx
    jmp 2f
1:  shrq $47, %rdx
    jz 3f
    movq AT_RIP(%rsp), %rdx
    shrq $47, %rdx
    jnz bad_stack
3:  movq THREAD_STACK_TOP(%rax), %rdx
2:  subq $REGS_FROM_TOP, %rdx

    /* struct regs at rdx. */
    movq %r15, REGS_R15(%rdx)
    movq %r14, REGS_R14(%rdx)
    movq %r13, REGS_R13(%rdx)
    movq %r12, REGS_R12(%rdx)
    movq %rbp, REGS_RBP(%rdx)
    movq %rbx, REGS_RBX(%rdx)
    movq %r11, REGS_R11(%rdx)
    movq %rdi, REGS_RDI(%rdx)
    movq %rsi, REGS_RSI(%rdx)
    movq %r10, REGS_R10(%rdx)
    movq %r8, REGS_R8(%rdx)
    movq %r9, REGS_R9(%rdx)
    movq 16(%rsp), %rax
    movq %rax, REGS_RAX(%rdx)
    movq 8(%rsp), %rax
    movq %rax, REGS_RCX(%rdx)
    movq (%rsp), %rax
    movq %rax, REGS_RDX(%rdx)
    movq $-1, REGS_ORIG_RAX(%rdx)
    movq AT_RIP(%rsp), %rax
    movq %rax, REGS_RIP(%rdx)
    movq AT_CS(%rsp), %rax
    movq %rax, REGS_CS(%rdx)
    movq AT_RFLAGS(%rsp), %rax
    movq %rax, REGS_RFLAGS(%rdx)
    movq AT_RSP(%rsp), %rax
    movq %rax, REGS_RSP(%rdx)
    movq AT_SS(%rsp), %rax
    movq %rax, REGS_SS(%rdx)

    movq %rdx, %rdi
    movq AT_VECTOR(%rsp), %rsi
    movq AT_ERROR(%rsp), %rdx
    movq %rdi, %rsp
    cld
    call trap_dispatch
    /* Interrupts are off again. */

    .globl trap_return
trap_return:
    POP_REGS
    addq $8, %rsp
    .globl trap_iret
trap_iret:
    iretq

trap_debug:
    pushq %rax
    pushq %rcx
    pushq %rdx
    movq AT_RIP(%rsp), %rdx
    shrq $47, %rdx
    jz move
    /* A step into a patched call is one to its syscall instruction. */
    movq AT_RIP(%rsp), %rdx
    subq $patched_begin, %rdx
    cmpq $(patched_entered - patched_begin), %rdx
    jb undo_patched
    popq %rdx
    popq %rcx
    popq %rax
    /* fall through */

trap_stay:
    pushq $-1                   /* orig_rax; the frame above is: vector error rip ... */
    PUSH_REGS
    movq %rsp, %rbx
    movq 128(%rbx), %rdi        /* vector */
    leaq 144(%rbx), %rsi        /* the CPU's frame: rip cs rflags rsp ss */
    andq $-16, %rsp
    cld
    call trap_on_own_stack
    movq %rbx, %rsp
    POP_REGS
    addq $24, %rsp              /* orig_rax, vector, error */
    iretq

bad_stack:
    movq AT_VECTOR(%rsp), %rdi
    movq AT_ERROR(%rsp), %rsi
    leaq AT_RIP(%rsp), %rdx
    xorl %ebp, %ebp
    andq $-16, %rsp
    cld
    call trap_bad_stack
    ud2

/*
 * The syscall instruction (SDM 2B, SYSCALL): rcx = rip, r11 = rflags, rsp still the application's.  Nothing is
 * pushed there: goroutine stacks are a few KiB and have a red zone.
 *
 * Interrupts stay on, both ways: turning them off and on costs more than all the rest here under an emulator.  Two
 * stretches cannot go on after one and need none of it done twice:
 *
 *   syscall_entry ... syscall_entered   the stack is half switched, and PERCPU_SCRATCH is this CPU's.  An interrupt
 *                                       finds the application before its syscall instruction (undo_syscall).
 *   syscall_leave ... syscall_left      no work for the thread was found, and it must not come in between.  Struct regs
 *                                       stays as it is until the last instruction, so after an interrupt it begins
 *                                       again (trap_dispatch(), which takes one at the last for the application's).
 */
    .balign 16
    .globl syscall_entry
syscall_entry:
    movq %rsp, %gs:PERCPU_SCRATCH
    movq %gs:PERCPU_STACK_TOP, %rsp
    subq $8, %rsp
    pushq $KERNEL_DS
    pushq %gs:PERCPU_SCRATCH
syscall_entered:
    pushq %r11
    pushq $KERNEL_CS
    pushq %rcx
    pushq %rax                  /* orig_rax */
    PUSH_REGS
    movq %rsp, %rdi
    call syscall_from_app       /* al = 1: the short way back will do */
    testb %al, %al
    jz slowly

    .globl syscall_leave
syscall_leave:
    movq %gs:PERCPU_CURRENT, %rax
    cmpl $0, THREAD_WORK(%rax)
    jne slowly
    movq REGS_R15(%rsp), %r15
    movq REGS_R14(%rsp), %r14
    movq REGS_R13(%rsp), %r13
    movq REGS_R12(%rsp), %r12
    movq REGS_RBP(%rsp), %rbp
    movq REGS_RBX(%rsp), %rbx
    movq REGS_R11(%rsp), %r11
    LOAD_ARGS
    /* The status flags: overflow by an addition that overflows or not, the others from ah. */
    movl %r11d, %eax
    movl %r11d, %ecx
    shrl $11, %eax
    andl $1, %eax
    movb %cl, %ah
    addb $0x7f, %al
    sahf
    movq REGS_RCX(%rsp), %rcx
    movq REGS_RAX(%rsp), %rax
    movq REGS_RSP(%rsp), %rsp
    .globl syscall_left
syscall_left:
    jmp *%rcx

slowly:
    movq %rsp, %rdi
    call exit_to_app            /* returns with interrupts off */
    jmp trap_return

/*
 * A patched call (call_patch.c): a jump with rcx as after the syscall instruction.  It may use rcx, r11 and the status
 * flags, and that is all it does.  The registers that C keeps are still there on the way back, so they are saved for
 * those who look at them only: work on the way back, and calls that get or give all registers (call_table.c).
 * rbp is for a profiler's backtraces.
 *
 *   patched_begin ... patched_entered   an interrupt finds the application before its syscall instruction
 *   patched_leave ... patched_left      as syscall_leave; the result stays in rax
 *
 * Calls that only tell the thread something about itself need no stack (call_table.c).
 */
    .balign 16
    .globl patched_begin, patched_entered
patched_begin:
    .globl patched_getpid
patched_getpid:
    movq %gs:PERCPU_CURRENT, %r11
    testl $THREAD_SLOW_FLAGS, THREAD_FLAGS(%r11)
    jnz patched_entry
    movq THREAD_PROCESS(%r11), %r11
    movl PROCESS_PID(%r11), %eax
    jmp *%rcx

    .balign 16
    .globl patched_gettid
patched_gettid:
    movq %gs:PERCPU_CURRENT, %r11
    testl $THREAD_SLOW_FLAGS, THREAD_FLAGS(%r11)
    jnz patched_entry
    movl THREAD_TID(%r11), %eax
    jmp *%rcx

    .balign 16
    .globl patched_entry
patched_entry:
    movq %rsp, %r11
    movq %gs:PERCPU_STACK_TOP, %rsp
patched_entered:
    cld
    subq $REGS_FROM_TOP, %rsp
    movq %r11, REGS_RSP(%rsp)
    movq %rcx, REGS_RIP(%rsp)
    movq %rax, REGS_ORIG_RAX(%rsp)
    movq %rdi, REGS_RDI(%rsp)
    movq %rsi, REGS_RSI(%rsp)
    movq %rdx, REGS_RDX(%rsp)
    movq %r10, REGS_R10(%rsp)
    movq %r8, REGS_R8(%rsp)
    movq %r9, REGS_R9(%rsp)
    movq %rbp, REGS_RBP(%rsp)
    movq %gs:PERCPU_CURRENT, %rcx
    movl $THREAD_SLOW_FLAGS, %r11d
    andl THREAD_FLAGS(%rcx), %r11d
    orq %rax, %r11
    cmpq $CALL_NUMBERS, %r11    /* nobody looks on, nor is it out of range */
    jae not_straight
    movq %r10, %rcx
    call *call_table(, %rax, 8)

    .globl patched_leave
patched_leave:
    movq %gs:PERCPU_CURRENT, %r11
    cmpl $0, THREAD_WORK(%r11)
    jne patched_slowly
    leaq RESTART_LAST(%rax), %r11
    cmpq $NRESTARTS, %r11
    jb patched_restart
    LOAD_ARGS
    movq REGS_RIP(%rsp), %rcx
    movq REGS_RSP(%rsp), %rsp
    .globl patched_left
patched_left:
    jmp *%rcx

/* A counted call goes the same way, but for the counting; any other that somebody looks at goes the long one. */
not_straight:
    cmpq $CALL_NUMBERS, %rax
    jae call_fully
    andl $-CALL_NUMBERS, %r11d
    cmpl $THREAD_COUNTED_FLAG, %r11d
    jne call_fully
    movq %r10, %rcx
    call *call_table(, %rax, 8)
    movq REGS_ORIG_RAX(%rsp), %rdi
    movq %rax, %rsi
    call syscall_count_jump
    jmp patched_leave

patched_restart:
    movq %gs:PERCPU_CURRENT, %r11
    lock orl $THREAD_WORK_SIGNAL_FLAG, THREAD_WORK(%r11)
patched_slowly:
    movq %rax, REGS_RAX(%rsp)
    SAVE_REST
    jmp slowly

/* In the table for calls that need all registers; rax and those that C keeps are as they were. */
    .globl patched_fully
patched_fully:
    addq $8, %rsp
call_fully:
    SAVE_REST
    movq %rax, %rdi
    leaq REGS_RDI(%rsp), %rsi
    call syscall_dispatch
    movq %rax, REGS_RAX(%rsp)
    jmp slowly

entries_end:

/*
 * An interrupt found the code above, rdx bytes behind its beginning.  Where a call has only begun it is undone; at a
 * last jump rsp is the application's already, and the call is taken for done.
 */
in_entry:
    movq AT_RIP(%rsp), %rax
    cmpw $JMP_RCX, (%rax)
    je left
    cmpq $(syscall_entered - syscall_entry), %rdx
    jb undo_syscall
    subq $(patched_begin - syscall_entry), %rdx
    cmpq $(patched_entered - patched_begin), %rdx
    jb undo_patched
    jmp move
left:
    movq 8(%rsp), %rax          /* rcx */
    movq %rax, AT_RIP(%rsp)
    jmp move
undo_syscall:
    movq %r11, AT_RFLAGS(%rsp)
    testq %rdx, %rdx
    jz undo_patched
    movq %gs:PERCPU_SCRATCH, %rax
    movq %rax, AT_RSP(%rsp)
undo_patched:
    movq 8(%rsp), %rax
    subq $2, %rax               /* the length of the syscall instruction */
    movq %rax, AT_RIP(%rsp)
    jmp move

/*
 * struct thread *arch_switch(struct thread *previous, struct thread *next): switch.S of the contract; the C part
 * (vector state, TLS) is in thread.c.
 */
    .globl switch_stacks
switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, THREAD_KERNEL_SP(%rdi)
    movq THREAD_KERNEL_SP(%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    movq %rdi, %rax
    ret

/* A new thread's first frame (arch_thread_init): function in r13, its argument in r12. */
    .globl thread_begin
thread_begin:
    movq %r12, %rdi
    xorl %ebp, %ebp
    call *%r13
    ud2

/* void enter_app(struct regs *at): at lies REGS_FROM_TOP below the top; interrupts off. */
    .globl enter_app
enter_app:
    movq %rdi, %rsp
    jmp trap_return
