"""Structured logs: one JSON object a line, on standard error."""

import logging
import sys

import structlog


def set_up_logs(level: int = logging.INFO) -> None:
    """Send kae's events from a level on, and the libraries' warnings, to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format='{"event": "library", "logger": "%(name)s", "level": "%(levelname)s"} %(message)s',
    )
