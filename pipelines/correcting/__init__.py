"""Rows set aside go to their department as a workbook, and come back corrected.

rows        the rows as received, with the corrections made so far, and a keyed digest of each
book        the workbook: what it looks like
returned    the workbook that came back: how it is read
exporting   which rows, for whom, what they may see
importing   what came back, checked, as corrections
"""
