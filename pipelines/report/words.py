"""The report's words, Chinese and English. Dimensions are those of GB/T 36344-2018."""

from __future__ import annotations

from typing import Final

Pair = tuple[str, str]

DIMENSION_WORDS: Final[dict[str, Pair]] = {
    "conformity": ("规范性", "Conformity"),
    "completeness": ("完整性", "Completeness"),
    "accuracy": ("准确性", "Accuracy"),
    "consistency": ("一致性", "Consistency"),
    "timeliness": ("时效性", "Timeliness"),
    "accessibility": ("可访问性", "Accessibility"),
}
SCORE_WORDS: Final[dict[str, Pair]] = {
    "collected": ("按时归集", "collected"),
    "quality": ("检查合格", "quality"),
    "set_aside": ("隔离未逾期", "set aside in time"),
    "followed": ("目录更新", "followed"),
    "opened": ("开放发布", "opened"),
    "replied": ("答复申请", "replied"),
    "delivered": ("提供数据", "delivered"),
    "verified": ("核实异议", "verified"),
    "answered": ("答复开放申请", "answered"),
    "disposed": ("到期处置", "disposed"),
}
"""How each department does its part (`pipelines.report.departments`)."""
ON_FAIL_WORDS: Final[dict[str, Pair]] = {
    "stop": ("停批", "stop"),
    "quarantine": ("隔离", "quarantine"),
    "warn": ("告警", "warn"),
}
STAGE_WORDS: Final[dict[str, Pair]] = {
    "collect": ("采集", "collect"),
    "standardise": ("标准化", "standardise"),
    "check": ("检查", "check"),
    "merge": ("归并", "merge"),
    "publish": ("发布", "publish"),
}
STATE_WORDS: Final[dict[str, Pair]] = {
    "done": ("完成", "done"),
    "failed": ("失败", "failed"),
    "running": ("进行中", "running"),
    "stuck": ("停滞", "stuck"),
    "held": ("待批", "held"),
    "lost": ("中断", "lost"),
    "nothing new": ("无新数据", "nothing new"),
}
TYPE_WORDS: Final[dict[str, Pair]] = {
    "unconditional": ("无条件", "unconditional"),
    "conditional": ("有条件", "conditional"),
    "none": ("不予", "none"),
}
RISK_WORDS: Final[dict[str, Pair]] = {
    "direct": ("直接标识符", "direct identifier"),
    "quasi": ("准标识符", "quasi-identifier"),
    "": ("未识别，按准标识符处理", "not said; judged as a quasi-identifier"),
    "sensitive": ("敏感属性", "sensitive attribute"),
    "none": ("其他属性", "tells nothing of a person"),
}
RELEASE_WORDS: Final[dict[str, Pair]] = {
    "public": ("完全公开共享", "public"),
    "controlled": ("受控公开共享", "controlled public"),
    "enclave": ("领地公开共享", "enclave"),
}
LEVEL_WORDS: Final[dict[int, Pair]] = {
    1: ("含直接标识符", "has a direct identifier"),
    2: ("消除了直接标识符，重标识风险不低于阈值", "no direct identifier; the risk is not below the limit"),
    3: ("重标识风险低于阈值", "the risk of re-identification is below the limit"),
    4: ("仅含汇总数据", "aggregates only"),
}
"""GB/T 42460: the four levels."""
ACT_WORDS: Final[dict[str, Pair]] = {
    "published": ("通过评估并发布", "judged and published"),
    "stopped": ("未予发布", "stopped, nothing was published"),
    "withdrawn": ("撤回", "withdrawn"),
    "noise": ("抽取噪声", "noise drawn"),
}
CHECK_WORDS: Final[dict[str, str]] = {
    "expect_column_values_to_not_be_null": "不为空",
    "expect_column_values_to_be_unique": "唯一",
    "expect_compound_columns_to_be_unique": "组合唯一",
    "expect_column_values_to_match_regex": "符合格式",
    "expect_column_values_to_not_match_regex": "不含禁用格式",
    "expect_column_values_to_be_in_set": "在取值范围内",
    "expect_column_values_to_be_between": "在数值区间内",
    "expect_column_value_lengths_to_be_between": "长度在区间内",
    "expect_column_value_lengths_to_equal": "长度固定",
    "expect_table_row_count_to_be_between": "行数在区间内",
    "expect_column_pair_values_a_to_be_greater_than_b": "前后大小关系",
    "expect_column_pair_values_to_be_equal": "两列一致",
    "expect_column_values_to_be_valid_resident_id": "身份证号有效 (GB 11643)",
    "expect_column_values_to_be_valid_uscc": "统一社会信用代码有效 (GB 32100)",
    "expect_column_values_to_be_valid_mobile_number": "手机号有效",
    "expect_column_values_to_be_valid_division_code": "行政区划代码有效 (GB/T 2260)",
    "expect_column_values_to_be_in_code_list": "在代码表内",
    "expect_column_values_to_exist_in_dataset": "在权威数据集中存在",
    "expect_table_row_count_not_to_drop": "行数未骤降",
}
