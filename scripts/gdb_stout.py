# SPDX-License-Identifier: MIT
"""What a machine does, for gdb: its processes and their threads, and where in the kernel the sleeping ones are.

    stout run --qemu-arg "-gdb tcp:127.0.0.1:1234" PROGRAM
    gdb build/release/stout.elf -ex "target remote 127.0.0.1:1234" -ex "source scripts/gdb_stout.py"
    (gdb) stout-processes

A stack is searched for return addresses, so it may show calls that are over.  Threads of the kernel alone are
in no list.
"""
import gdb

FRAMES = 24


def offset_of(struct, name):
    return next(field.bitpos // 8 for field in gdb.lookup_type(f"struct {struct}").fields() if field.name == name)


def members(head, struct, node):
    """The structures on a list, whose head is a value."""
    pointer = gdb.lookup_type(f"struct {struct}").pointer()
    each = head["next"]
    while each != head.address:
        yield gdb.Value(int(each) - offset_of(struct, node)).cast(pointer)
        each = each["next"]


def function_at(address):
    symbol = gdb.execute(f"info symbol {address:#x}", to_string=True)
    name, _, place = symbol.partition(" + ")
    return name.removesuffix(".lto_priv") if ".text" in place else None


def show_stack(thread):
    word = gdb.lookup_type("unsigned long").pointer()
    stack = gdb.Value(int(thread["kernel_sp"])).cast(word)
    depth = (int(thread["kernel_stack_top"]) - int(stack)) // 8
    names = [name for i in range(depth) if int(stack[i]) >> 31 == 0x1ffffffff and (name := function_at(int(stack[i])))]
    print("        " + " < ".join(names[:FRAMES]))


def show_thread(thread):
    state = str(thread["state"]).removeprefix("THREAD_").lower()
    print(f"    thread {int(thread['tid'])} {thread['name'].string()}: {state}, work {int(thread['work']):#x}, "
          f"signals {int(thread['signals']['pending']['set']):#x}")
    if not thread["sched"]["on_cpu"]:
        show_stack(thread)


def show_process(process):
    state = str(process["state"]).removeprefix("PROCESS_").lower()
    state += ", exiting" * bool(process["is_exiting"])
    print(f"process {int(process['pid'])} {process['comm'].string()}: {state}, "
          f"signals {int(process['signals']['pending']['set']):#x}")
    threads = list(members(process["threads"], "thread", "process_node"))
    for thread in threads:
        show_thread(thread)
    if not threads and state.startswith("alive"):  # its last thread is in the middle of the end
        show_thread(process["leader"])
    for child in members(process["children"], "process", "sibling_node"):
        show_process(child)


class Processes(gdb.Command):
    """Every process with its threads and their kernel stacks."""

    def __init__(self):
        super().__init__("stout-processes", gdb.COMMAND_STATUS)

    def invoke(self, _argument, _from_tty):
        first = gdb.parse_and_eval("process_first")
        if first:
            show_process(first)


Processes()
