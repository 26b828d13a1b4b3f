"""The report for people beside a trail: one content, as an HTML page and as a PDF, equal bytes for equal ledgers."""
