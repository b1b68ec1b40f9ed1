"""A notice in words, Chinese first: numbers, names of the catalogue and days, and no word that a person wrote."""

from __future__ import annotations

from typing import Final

from exchange.notices import Notice
from schemas.load import Catalogue

CLOCKS: Final = {
    "reply": ("答复申请", "to answer the request"),
    "answer": ("答复申请", "to answer the application"),
    "supplement": ("补正申请", "to supplement what was asked for"),
    "deliver": ("提供数据", "to deliver the data"),
    "verify": ("核实并答复异议", "to verify and answer the objection"),
    "explain": ("补充说明异议", "to explain the objection"),
    "dispose": ("处置数据并报告", "to dispose of the data and report it"),
}
ROLES: Final = {
    "requester": ("需求方", "requester"),
    "provider": ("提供方", "provider"),
    "approver": ("审批人", "approver"),
    "authority": ("主管部门", "authority"),
    "data_centre": ("大数据中心", "data centre"),
    "auditor": ("审计", "auditor"),
    "public": ("公众", "public"),
}
STATES: Final = {
    "drafted": ("已起草", "drafted"),
    "submitted": ("已提交", "submitted"),
    "incomplete": ("待补正", "incomplete"),
    "proposed": ("待确认", "proposed"),
    "granted": ("已授权", "granted"),
    "suspended": ("已暂停", "suspended"),
    "refused": ("不予共享", "refused"),
    "declined": ("不予开放", "declined"),
    "disputed": ("协商中", "disputed"),
    "referred": ("已报主管部门", "referred to the authority"),
    "appealed": ("已报政府", "appealed"),
    "ended": ("已终止", "ended"),
    "raised": ("待核实", "raised"),
    "unclear": ("待补充说明", "to be explained"),
    "corrected": ("已更正", "corrected"),
    "upheld": ("核实无误", "upheld"),
    "closed": ("已办结", "closed"),
}
"""Of requests, objections and applications."""
CASES: Final = {
    "request": ("共享申请", "Share request"),
    "objection": ("校核异议", "Objection"),
    "application": ("开放申请", "Application"),
}
USES: Final = {
    "innovation": ("创新应用", "innovation"),
    "governance": ("城市治理", "city governance"),
    "service": ("社会服务", "social services"),
    "other": ("其他", "other"),
}
"""What an application is for."""

STEPS: Final = {
    "draft": ("起草", "draft"),
    "approve": ("审批通过", "approve"),
    "return": ("退回补正", "return for its supplement"),
    "supplement": ("补正", "supplement"),
    "extend": ("申请延期答复", "ask for an extension"),
    "consent_extension": ("同意延期", "consent to the extension"),
    "propose": ("提出答复意见", "propose an answer"),
    "confirm": ("确认答复", "confirm the answer"),
    "send_back": ("退回重拟", "send back"),
    "deliver": ("已提供数据", "delivered"),
    "dispute": ("提请协商", "dispute"),
    "settle": ("协商后重新办理", "settle, and answer anew"),
    "refer": ("报主管部门", "refer to the authority"),
    "decide": ("裁定", "decide"),
    "appeal": ("报政府", "appeal"),
    "rule": ("记录政府裁定", "record the ruling"),
    "suspend": ("暂停授权", "suspend"),
    "resume": ("恢复授权", "resume"),
    "revoke": ("撤销授权", "revoke"),
    "dispose": ("报告数据已处置，终止授权", "report the disposal, which ends the grant"),
    "withdraw": ("撤回", "withdraw"),
    "raise": ("提出异议", "object"),
    "ask": ("要求补充说明", "ask for an explanation"),
    "explain": ("补充说明", "explain"),
    "correct": ("已更正", "corrected"),
    "uphold": ("核实无误", "uphold"),
    "accept": ("认可答复", "accept"),
    "apply": ("申请", "apply"),
}
"""Of requests, objections and applications."""
SAID: Final = {
    "missing": ("缺少什么", "what is missing"),
    "supplement": ("补充内容", "supplement"),
    "reason": ("理由", "reason"),
    "working_days": ("工作日数", "working days"),
    "consent": ("是否同意", "consent"),
    "document": ("文号", "number of the document"),
    "disposal": ("处置情况", "how it was disposed of"),
}
"""What steps need."""
CONSENT: Final = {
    "request": {True: ("同意", "yes"), False: ("不同意", "no")},
    "objection": {True: ("异议成立", "it is right"), False: ("异议不成立", "it is not right")},
    "application": {True: ("同意", "yes"), False: ("不同意", "no")},
}
"""What `consent` says of a case; of an objection when the authority decides it."""
METHODS: Final = {
    "api": ("接口", "API"),
    "batch": ("库表交换", "into your own table"),
    "file": ("文件", "as files"),
}
MODES: Final = {"swap": ("整表替换", "swap the whole"), "upsert": ("按变化更新", "upsert what changed")}
DELIVERED: Final = {
    "done": ("已交付", "done"),
    "failed": ("失败", "failed"),
    "": ("未交付", "not yet"),
    "waiting": ("授权未开始、已暂停或已终止", "no grant now"),
    "stopped": ("已停止", "stopped"),
}
"""What became of the newest delivery, where there was one, and why none follows."""
RISKS: Final = {
    "volume": ("一天内读取行数远超以往", "far more rows were read in a day than before"),
    "offday": ("只在工作日读取者在非工作日大量读取", "read in bulk on a day without work, by who never did"),
    "refused": ("一天内多次读取被拒", "many reads were refused in a day"),
    "strangers": ("一天内大量身份不明的调用", "many calls by nobody who is known in a day"),
    "joined": (
        "一天内读取的可关联数据集多于以往",
        "more datasets that can be joined were read in a day than before",
    ),
    "unused": ("授权长期未使用", "nobody has used the grant for a long time"),
}
"""What is found by watching the usage."""
COUNTED: Final = {
    "volume": ("{}行", "{} rows"),
    "offday": ("{}行", "{} rows"),
    "refused": ("{}次", "{} refusals"),
    "strangers": ("{}次", "{} calls"),
    "joined": ("{}个数据集", "{} datasets"),
    "unused": ("{}天", "{} days"),
}
"""What such a finding counts."""

INCIDENTS: Final = {"open": ("处置中", "open"), "closed": ("已结案", "closed")}
"""States of security incidents."""
INCIDENT_STEPS: Final = {
    "open": ("立案", "opened"),
    "note": ("记录", "noted"),
    "report": ("报告", "reported"),
    "close": ("结案", "closed"),
    "reopen": ("重新立案", "opened again"),
}
DIDS: Final = {
    "found": ("查明", "found out"),
    "contained": ("遏制", "contained"),
    "mended": ("修复", "mended"),
}
"""What was done about an incident."""
INCIDENT_TEXTS: Final = {
    "what": ("情况", "what"),
    "found": ("查明情况", "what was found"),
    "done": ("处置措施", "what was done"),
    "data": ("数据去向", "what became of the data"),
}


def subject(notice: Notice) -> str:
    """One line, of both languages."""
    zh, en = _said(notice)
    if notice.kind in ("delivery", "risk", "incident"):
        return f"{zh} {en}"
    case_zh, case_en = CASES[notice.case]
    return f"{case_zh}{notice.number}：{zh} {case_en} {notice.number}: {en}"


def body(notice: Notice, catalogue: Catalogue) -> str:
    """The whole notice: what it is about, in both languages, and where to look."""
    entry = catalogue.entries.get(notice.dataset)
    zh, en = (entry.title.zh, entry.title.en) if entry else ("", "")
    said_zh, said_en = _said(notice)
    if notice.risk is not None:
        return _of_risk(notice, (zh, en))
    if notice.incident is not None:
        return _of_incident(notice, (zh, en))
    if notice.kind == "delivery":
        where = f"/deliveries/{notice.delivery}"
        return "\n".join(
            (
                f"{said_zh}，{zh}（{notice.dataset}，{notice.policy}）。原有数据未变，将自动重试；原因见交付回执：{where}",
                "",
                f"{said_en}: {en} ({notice.dataset}, policy {notice.policy}). What was delivered before stands, and it",
                f"is tried again. The receipt says why: {where}, or GET /api/v1{where}",
                "",
            )
        )
    state_zh, state_en = STATES[notice.state]
    case_zh, case_en = CASES[notice.case]
    where = f"/{notice.case}s/{notice.number}"
    return "\n".join(
        (
            f"{case_zh}第{notice.number}号，{zh}（{notice.dataset}，{notice.policy}）。",
            f"{said_zh}。当前状态：{state_zh}。请登录数据共享交换平台办理：{where}",
            "",
            f"{case_en} {notice.number}: {en} ({notice.dataset}, policy {notice.policy}).",
            f"{said_en[0].upper()}{said_en[1:]}. It is {state_en} now. See {where}, or GET /api/v1{where}",
            "",
        )
    )


def _of_risk(notice: Notice, title: tuple[str, str]) -> str:
    """Who it is about is told by the page and the API alone."""
    said_zh, said_en = _said(notice)
    policy_zh, policy_en = (f"，{notice.policy}", f", policy {notice.policy}") if notice.policy else ("", "")
    about_zh = f"，{title[0]}（{notice.dataset}{policy_zh}）" if notice.dataset else ""
    about_en = f": {title[1]} ({notice.dataset}{policy_en})" if notice.dataset else ""
    where, api = "/risks", "GET /api/v1/risks"
    todo_zh, todo_en = "请核查", "Look into it"
    if notice.number is not None:
        where = f"/requests/{notice.number}"
        api = f"GET /api/v1{where}"
        todo_zh = "如不再需要，请需求方报告数据处置并终止授权，或由提供方撤销"
        todo_en = "Where it is needed no more, its holder reports the disposal, or its provider revokes it"
    return "\n".join(
        (
            f"{said_zh}{about_zh}。{todo_zh}：{where}",
            "",
            f"{said_en}{about_en}. {todo_en}: {where}, or {api}",
            "",
        )
    )


def _of_incident(notice: Notice, title: tuple[str, str]) -> str:
    """What happened, and what was done, the page and the API tell, to whom they may."""
    said_zh, said_en = _said(notice)
    about_zh = f"，{title[0]}（{notice.dataset}）" if notice.dataset else ""
    about_en = f": {title[1]} ({notice.dataset})" if notice.dataset else ""
    number = notice.incident[0] if notice.incident else 0
    return "\n".join(
        (
            f"{said_zh}{about_zh}。详情：/incidents#incident-{number}",
            "",
            f"{said_en}{about_en}. See /incidents#incident-{number}, or GET /api/v1/incidents",
            "",
        )
    )


_OF_INCIDENT: Final = {
    "opened": ("已立案（{}发现）", "it was opened (noticed on {})"),
    "reopened": ("已重新立案（{}）", "it was opened again ({})"),
    "closed": ("已结案（{}）", "it was closed ({})"),
    "due": ("须报告，期限为{}", "a report is due by {}"),
    "late": ("报告已逾期，期限为{}", "a report is late: it was due by {}"),
    "damaged": ("台账记录无法读取，请核验数据湖", "its record cannot be read: have the lake verified"),
}
"""What a notice says of an incident, with its day."""


def _said(notice: Notice) -> tuple[str, str]:
    if notice.incident is not None:
        number, what, _ = notice.incident
        zh, en = (each.format(notice.due) for each in _OF_INCIDENT[what])
        return f"第{number}号安全事件：{zh}", f"Incident {number}: {en}"
    if notice.risk is not None:
        (rule, number), day = notice.risk, notice.due
        zh, en = RISKS[rule]
        return f"第{number}号风险提示：{zh}（{day}）", f"Risk {number}: {en} ({day})"
    if notice.kind == "delivery":
        return f"第{notice.delivery}号数据交付失败", f"Delivery {notice.delivery} failed"
    return _of_case(notice)


def _of_case(notice: Notice) -> tuple[str, str]:
    day = notice.due.isoformat() if notice.due else ""
    state_zh, state_en = STATES[notice.state]
    if notice.kind in ("remind", "escalate"):
        zh, en = CLOCKS[notice.about]
        if notice.kind == "remind":
            return f"{zh}的期限为{day}", f"the last day {en} is {day}"
        return f"{zh}已逾期，期限为{day}", f"it is late {en}: the last day was {day}"
    if notice.kind == "ends":
        return f"授权将于{day}到期", f"the grant ends on {day}"
    if notice.about == "expired":
        return f"授权已于{day}到期", f"the grant ended on {day}"
    if notice.kind == "turn":
        return f"待办：{state_zh}", f"it is your turn: {state_en}"
    return f"结果：{state_zh}", f"what became of it: {state_en}"
