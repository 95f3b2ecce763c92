# SPDX-License-Identifier: MIT
"""As a module, or as a file by python3 -S: then a Ctrl-C prints no traceback even while Python itself is starting, if whoever
starts it blocks SIGINT."""
import sys

import _signal  # type: ignore[import]  # signal has much to import

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
_signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGINT})
if "site" not in sys.modules:
    import site
    site.main()
from stout_tool.cli import entry  # noqa: E402

entry()
