"""Faults of pages: by file the tests that are to notice, pairs of old and new text."""

CHANGES = {
    "report/style.py": (
        "unit/test_contrast.py",
        (
            ("    _outline(figure)\n", ""),
            ('SERIES = ("#0072b2", "#cc79a7", "#009e73")', 'SERIES = ("#0072b2", "#e69f00", "#009e73")'),
            ('"#2f8577"', '"#44aa99"'),
        ),
    ),
}
