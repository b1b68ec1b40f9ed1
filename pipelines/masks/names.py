"""Names of persons in Chinese prose, where a label stands before one (联系人：张伟) or a title after it (张伟主任).

A name is a family name and one or two characters that can be a given name. Without a label or a title nothing tells
张伟 from any other two characters, and no name is found. Words that begin like a name (高度, 管理, 项目) are left
alone. Names with a dot (买买提·艾力) are found after a label. Names that are anonymised already (张某) are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧肖程曹袁邓许傅付沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎闫余潘杜戴夏钟锺"
    "汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱丘秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温"
    "芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍覃霍翁"
    "隋甘景薄单包柏宁柯阮桂闵解强柴华车冉边吉饶瞿戚古米池滕晋佟苑臧仇宫宗郎代冷匡楚邬符虞阚蒲卓蔺冀褚娄巩荣麦敖骆刁全平连裘"
    "应胥邸展屠乐蓝岑习封党明濮晏储商温计"
)
COMPOUND = (
    "欧阳|上官|司马|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|端木|南宫|长孙|宇文|淳于|申屠|呼延|闻人|拓跋"
)
_NOT_GIVEN = (
    "局处科室部院所站队厅委办会司厂校店村镇县区省的了在是与及或等某们您我他她你这那哪没不被把给对从到由将已未曾也都就才还又再"
    "并且但而因则其此每各第号个位户台件份次条项目请找问吗呢吧啊哦呀"
)
_WORDS = (  # that begin with a family name and are none
    "高级|高度|高速|高层|高温|高空|高考|高校|高中|高新|方式|方案|方便|方面|方可|方向|安全|安排|安装|安置|安静|时间|时候|时常|"
    "成立|成功|成员|成本|成果|成为|于是|于此|文件|文化|文旅|文明|文书|文字|常见|常务|常委|常住|常年|应当|应急|应该|应为|应于|"
    "管理|管道|管线|管辖|管委|路段|路口|路边|路面|路灯|明显|明确|明天|明年|向上|向前|向其|车辆|车站|车间|车位|车牌|车库|关于|关闭|"
    "关系|关心|关注|关键|解决|解释|解除|全部|全体|全市|全区|全面|全家|段落|符合|严重|严格|严禁|商业|商品|商务|商会|商户|商场|"
    "单位|单元|单独|单号|包括|包装|包含|平方|平台|平时|平均|平安|边界|边上|金额|金属|金融|金陵|钱款|古城|石材|石头|温度|江苏|江宁|"
    "江北|江东|江南|康复|项目|管控|房屋|齐全|连续|连接|连同|计划|计算|计生|党员|党委|党组|党支|党群|代表|代理|代办|代码|代为|任何|任务|"
    "何时|何人|何种|何处|查询|查处|查验|查看|查封|卫生|卫健|易燃|易发|左右|左侧|强烈|强制|强调|强化|华东|水电|施工|施行|边坡|"
    "宣传|万元|万人|万户|周边|周围|周期|周末|周一|周二|周三|周四|周五|周六|周日|黄色|黄金|白色|白天|白班|毛病|毛坯|马上|马路|龙头|"
    "游客|游泳|游园|展示|展开|展会|乐园|封闭|封存|习惯|储存|储蓄|储备|米左|阳台|阳光|阳性|席位|吉祥|古树|古建|池塘|宁静|景区|景观|"
    "荣誉|麦当|冷水|冷库|冷链|洪水|洪涝|陶瓷|梅雨|梅花|季度|季节|申请|申报|申诉|申领|申办|章程|曲线|雷雨|雷电|田地|田间|程序|"
    "贺信|祝福|祝贺|费用|费率|纪委|纪检|纪律|盛大|童装|谷物|辛苦|庄严|庄园|顾客|顾问|顾虑|余额|余下|余款|孔洞|孔径|许可|许多|曾经|"
    "沈阳|苏州|苏北|苏南|武汉|武装|徐州|郑州|兰州|常州|温州|柳州|桂林|福州|石油|汤山|夏季|夏天|夏日|秦淮|林业|林地|林木|钟楼|钟表|"
    "鲁班|白下|史料|华侨|连云|江浦|江河|江湖|丁字|司机|高铁|高架|高压"
)
_LABELS = (
    "姓名|联系人|联络人|申请人|经办人|负责人|法定代表人|法人代表|当事人|户主|业主|车主|房主|收件人|寄件人|收货人|委托人|受托人|"
    "代理人|投诉人|举报人|来电人|来访人|报案人|报修人|求助人|信访人|监护人|承办人|经手人|承租人|出租人|购房人|持卡人|持证人|被保险人|"
    "投保人|嫌疑人|被告人|签收人|签发人|审批人|责任人|被申请人|患者|家属|死者|伤者|被告|原告|证人|本人|我叫|名叫|我是|市民|居民|村民|"
    "群众|学生|职工|员工|司机|驾驶员|经理|店主|家长|老人|儿子|女儿|丈夫|妻子|父亲|母亲"
)
_TITLES = (
    "先生|女士|小姐|同志|师傅|阿姨|大爷|大妈|奶奶|爷爷|老师|老板|主任|副主任|局长|副局长|科长|副科长|处长|副处长|部长|厅长|书记|副书记|"
    "镇长|乡长|村长|主席|院长|校长|园长|所长|站长|队长|组长|班长|会长|董事长|总经理|经理|秘书|医生|医师|大夫|护士|律师|法官|检察官|警官|"
    "教授|工程师|委员|网格员"
)
_AFTER = (
    "电话|手机|座机|联系|身份|住|家住|的|在|于|说|称|表示|反映|来电|来访|投诉|举报|咨询|要求|申请|提交|提供|办理|领取|签字|签名|签收|负责|"
    "确认|陪同|等|和|与|及|系|为|是|已|到|因|向|从|曾|现|男|女|夫妇|夫妻|一家|本人|报名|缴纳|名下|护照|邮箱|账号|卡号|驾驶"
)
_DOUBTFUL = "全明应商计强党安路方单平时成向常车石管连景"
"""Family names that end other words: 公安 + 局长, 统计 + 局长. Alone before a title they count only after these."""
_BEFORE_A_NAME = "请找问和与是的给让叫民系到见由"
_HAN = "\u4e00-\u9fff\u3400-\u4dbf"
_GIVEN = f"(?!(?:{_TITLES})|[{_NOT_GIVEN}])[{_HAN}]"
_FAMILY = f"(?!{_WORDS})(?:{COMPOUND}|[{SURNAMES}])"
_END = f"(?=(?:{_TITLES}|{_AFTER})|[^{_HAN}]|\\Z)"
_DOTTED = f"[{_HAN}]{{2,8}}(?:[·•・][{_HAN}]{{2,8}}?)+"
_COLON = r"[ \t]*(?:[：:]|为[：:]?|是[：:]?|系|叫)[ \t“\"]*"
_NAME = f"(?P<name>{_DOTTED}|{_FAMILY}(?:{_GIVEN}){{1,2}}?)"
_ALONE = f"(?:(?![{_DOUBTFUL}])|(?<![{_HAN}])|(?<=[{_BEFORE_A_NAME}]))"

_PATTERNS = (
    re.compile(rf"(?:{_LABELS}|{_TITLES})(?:{_COLON}|[ \t（(]*){_NAME}{_END}"),
    re.compile(rf"(?:{_LABELS})[ \t]*[：:][ \t]*(?P<name>{_FAMILY}(?:{_GIVEN}){{1,2}})"),
    re.compile(rf"(?<!由)(?P<name>{_FAMILY}(?:{_GIVEN}){{1,2}}?)(?={_TITLES})"),
    re.compile(rf"(?<!由){_ALONE}(?P<name>{_FAMILY})(?={_TITLES})"),
)
_ANOTHER = re.compile(rf"[ \t]*(?:、|和|与|及|/)[ \t]*{_NAME}{_END}")
"""A name beside a name: 经办人王丽、李明."""
MAY_HOLD = f"{_LABELS}|{_TITLES}"
"""For RE2: a text without any of these holds no name."""


def names(text: str) -> Iterator[Span]:
    """Where names stand, in no order and perhaps twice."""
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            following: re.Match[str] | None = found
            while following:
                yield following.span("name")
                following = _ANOTHER.match(text, following.end("name"))
