"""The dimension of GB/T 36344-2018 to which a failed expectation speaks, where the check itself names none.

The standard defines indicators, not expectations: the mapping is ours, by the indicator closest in meaning,
whose number stands beside each group. A check may name another dimension.
"""

from __future__ import annotations

from schemas.model import Dimension

_GROUPS: dict[Dimension, str] = {
    # 0101 data standard, 0102 data model, 0104 business rule, 0105 authoritative reference
    "conformity": """
        expect_column_distinct_values_to_be_in_set expect_column_distinct_values_to_contain_set
        expect_column_distinct_values_to_equal_set expect_column_most_common_value_to_be_in_set
        expect_column_to_exist expect_column_type_to_be
        expect_column_value_lengths_to_be_between expect_column_value_lengths_to_equal
        expect_column_values_to_be_dateutil_parseable expect_column_values_to_be_in_set
        expect_column_values_to_be_in_type_list expect_column_values_to_be_json_parseable
        expect_column_values_to_be_of_type expect_column_values_to_match_json_schema
        expect_column_values_to_match_like_pattern expect_column_values_to_match_like_pattern_list
        expect_column_values_to_match_regex expect_column_values_to_match_regex_list
        expect_column_values_to_match_strftime_format expect_column_values_to_not_be_in_set
        expect_column_values_to_not_match_like_pattern expect_column_values_to_not_match_like_pattern_list
        expect_column_values_to_not_match_regex expect_column_values_to_not_match_regex_list
        expect_table_column_count_to_be_between expect_table_column_count_to_equal
        expect_table_columns_to_match_ordered_list expect_table_columns_to_match_set
        expect_column_values_to_be_in_code_list expect_column_values_to_be_valid_division_code
        expect_column_values_to_be_valid_mobile_number expect_column_values_to_be_valid_resident_id
        expect_column_values_to_be_valid_uscc""",
    # 0201 elements filled, 0202 records filled
    "completeness": """
        expect_column_proportion_of_non_null_values_to_be_between expect_column_values_to_be_null
        expect_column_values_to_not_be_null expect_table_row_count_not_to_drop
        expect_table_row_count_to_be_between expect_table_row_count_to_equal""",
    # 0301 content, 0302 format, 0303 duplicates, 0304 uniqueness, 0305 dirty data
    "accuracy": """
        expect_column_kl_divergence_to_be_less_than expect_column_max_to_be_between
        expect_column_mean_to_be_between expect_column_median_to_be_between expect_column_min_to_be_between
        expect_column_proportion_of_unique_values_to_be_between expect_column_quantile_values_to_be_between
        expect_column_stdev_to_be_between expect_column_sum_to_be_between
        expect_column_unique_value_count_to_be_between expect_column_value_z_scores_to_be_less_than
        expect_column_values_to_be_between expect_column_values_to_be_unique
        expect_column_values_to_not_be_outliers expect_compound_columns_to_be_unique""",
    # 0401 same data, 0402 related data
    "consistency": """
        expect_column_pair_values_a_to_be_greater_than_b expect_column_pair_values_to_be_equal
        expect_column_pair_values_to_be_in_set expect_column_values_to_exist_in_dataset
        expect_multicolumn_sum_to_equal expect_multicolumn_values_to_be_equal
        expect_resident_id_to_match_birth_date_and_gender
        expect_select_column_values_to_be_unique_within_record""",
    # 0501 by period, 0502 by point in time, 0503 sequence
    "timeliness": """
        expect_column_max_to_be_recent expect_column_values_to_be_decreasing
        expect_column_values_to_be_increasing""",
}
DIMENSIONS: dict[str, Dimension] = {
    name: dimension for dimension, names in _GROUPS.items() for name in names.split()
}
