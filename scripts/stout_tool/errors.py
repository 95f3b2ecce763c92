# SPDX-License-Identifier: MIT
"""What the user did wrong or lacks: one plain sentence that names the thing and the remedy.

The statuses are docker's: 2 wrong usage, 125 the tool or the machine failed, 126 the program
cannot be run, 127 the program was not found.
"""
from __future__ import annotations


STATUS_USAGE = 2
STATUS_TOOL = 125
STATUS_CANNOT_RUN = 126
STATUS_NOT_FOUND = 127


class StoutError(Exception):
    """A sentence for stderr and the exit status that goes with it."""

    def __init__(self, sentence: str, status: int = STATUS_TOOL) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


def usage(sentence: str) -> StoutError:
    return StoutError(sentence, STATUS_USAGE)


def cannot_run(sentence: str) -> StoutError:
    return StoutError(sentence, STATUS_CANNOT_RUN)


def not_found(sentence: str) -> StoutError:
    return StoutError(sentence, STATUS_NOT_FOUND)
