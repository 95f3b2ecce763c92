# SPDX-License-Identifier: MIT
"""For programs of this host whose output a machine's is compared with."""
import os


def usual_priority():
    """In a machine the program is the first process; here the whole run may have been started by nice."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        pass
