"""Whether a process waits for room on its stores' disk: told when it begins and when it is over."""

import structlog

from kae.sinks.disk import DiskFull

log = structlog.get_logger()


class FullDisk:
    """Noted by the thread that writes the stores; `reason` may be read by any."""

    def __init__(self) -> None:
        self.reason = ""  # empty: there is room

    def note(self, error: DiskFull) -> None:
        """Take notice of a write for which there was no room."""
        if not self.reason:
            log.error("disk_full", folder=str(error.folder), free_bytes=error.free)
        self.reason = str(error)

    def over(self) -> None:
        """Take notice that what waited for room is written."""
        if self.reason:
            log.info("disk_has_room")
        self.reason = ""
