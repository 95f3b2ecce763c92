# SPDX-License-Identifier: MIT
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C while modules are loaded ends the tool without a traceback
from .cli import entry  # noqa: E402

entry()
