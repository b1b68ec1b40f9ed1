"""What an engine can do of an entry. The local one does all of it."""

from __future__ import annotations

from typing import Final

SPARK_CHECKS: Final = frozenset(
    {
        "expect_column_max_to_be_recent",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_to_exist",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_code_list",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_valid_division_code",
        "expect_column_values_to_be_valid_mobile_number",
        "expect_column_values_to_be_valid_resident_id",
        "expect_column_values_to_be_valid_uscc",
        "expect_column_values_to_exist_in_dataset",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_compound_columns_to_be_unique",
        "expect_resident_id_to_match_birth_date_and_gender",
        "expect_table_row_count_not_to_drop",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
    }
)
"""Checks that Spark judges as the local engine does, as a test holds. Others are an error with `engine: spark`."""
