"""Reports on certified runs: tables, pictures, a page, and result files for other analysis scripts."""

from runtime.report.report import ReportPaths, build_report, summarise

__all__ = ["ReportPaths", "build_report", "summarise"]
