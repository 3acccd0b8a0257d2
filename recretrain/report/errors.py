"""A mistake in what was asked of the report; its message is fit to print without a traceback."""


class ReportError(ValueError):
    pass
