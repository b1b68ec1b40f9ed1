"""Words that the sample city is made of: surnames, characters of given names, streets, lines of business,
sentences.

Nobody in it is real. Mobile numbers begin with 154, a prefix that has never been assigned to an operator;
resident ids and credit codes are valid in form, drawn by arithmetic and looked up nowhere.
"""

from __future__ import annotations

DIVISIONS = {
    "320102": "玄武区",
    "320104": "秦淮区",
    "320105": "建邺区",
    "320106": "鼓楼区",
    "320111": "浦口区",
    "320113": "栖霞区",
    "320114": "雨花台区",
    "320115": "江宁区",
    "320116": "六合区",
    "320117": "溧水区",
    "320118": "高淳区",
}
"""GB/T 2260: the eleven districts of Nanjing."""

WEIGHTS = (1, 2, 1, 2, 3, 2, 1, 4, 2, 1, 1)
"""How many shares of the population live in each district, in the order above."""

MOBILE_PREFIX = "154"

SURNAMES = tuple(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁"
)
GIVEN = tuple(
    "伟芳敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉建文辉宇欣怡子涵浩然梓轩雨晨思语嘉宁安澜望舒清禾远知"
)
STREETS = ("梧桐", "莲花", "云锦", "临湖", "书院", "银杏", "紫藤", "河西", "望江", "龙蟠", "青石", "南苑")
ETHNICITIES = ("01", "01", "01", "01", "01", "01", "01", "01", "01", "03", "11", "08", "汉族", "汉", "回族")
"""Codes of GB/T 3304, and labels as some stations write them."""

BRANDS = ("金陵", "紫金", "钟山", "石城", "栖云", "江畔", "扬子", "秦淮", "牛首", "燕矶", "方山", "百家")
BRAND_ENDS = ("恒", "达", "源", "兴", "成", "信", "瑞", "和", "泰", "华", "盛", "捷")
BUSINESSES = (
    ("C", "机械制造"),
    ("E", "建筑工程"),
    ("F", "商贸"),
    ("G", "物流"),
    ("H", "餐饮管理"),
    ("I", "信息技术"),
    ("L", "商务服务"),
    ("M", "检测技术"),
    ("R", "文化传媒"),
)
"""Section of GB/T 4754, and the words for it in an enterprise's name."""

STOPS = (
    "鼓楼",
    "新街口",
    "大行宫",
    "夫子庙",
    "三山街",
    "中华门",
    "雨花台",
    "奥体东",
    "迈皋桥",
    "仙林",
    "百家湖",
    "桥林",
)
SENTENCES = (
    "反映小区夜间施工噪声扰民",
    "咨询新生儿医保参保流程",
    "建议在路口增设人行横道",
    "反映路灯不亮影响出行",
    "投诉餐馆油烟直排",
    "求助老旧小区加装电梯协调",
)
