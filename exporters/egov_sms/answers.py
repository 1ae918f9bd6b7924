"""What departments are told, in both languages: each refusal has a key, a status, and a sentence on what to do."""

from __future__ import annotations

from collections.abc import Mapping

# key: HTTP status, zh, en
SENTENCES: Mapping[str, tuple[int, str, str]] = {
    "login": (
        401,
        "账号或密钥不对；密钥由市信息中心发放",
        "wrong account or key; the information centre hands keys out",
    ),
    "place": (
        404,
        "没有这个地址；有 POST /messages、GET /messages/编号、GET /quota",
        "no such address; there is POST /messages, GET /messages/ID, GET /quota",
    ),
    "message": (404, "没有编号为 {id} 的消息（只保留最近两个月）", "no message {id} (two months are kept)"),
    "size": (413, "请求过长，或没有长度", "the request is too long, or without a length"),
    "form": (
        400,
        '请求应是 JSON：{{"id": "编号", "to": "手机号", "text": "内容", "values": {{…}}}}',
        'the request must be JSON: {{"id": "...", "to": "mobile", "text": "...", "values": {{...}}}}',
    ),
    "id": (400, "编号 id 应为 1 至 64 个字母、数字或 . _ -", "the id must be 1 to 64 letters, digits or . _ -"),
    "to": (
        400,
        "手机号 to 应为 5 至 15 位数字，一次一个",
        "the number `to` must have 5 to 15 digits, one in a request",
    ),
    "word": (400, "模板中的 {{{word}}} 在 values 中没有值", "{{{word}}} of the text has no value in `values`"),
    "empty": (400, "内容是空的", "the text is empty"),
    "character": (
        400,
        "字符 {character} 不能用短信发送；请去掉表情和控制字符",
        "the character {character} cannot be sent in a text message; take emoji and control characters out",
    ),
    "long": (
        400,
        "内容连签名 {length} 字，最多 {most} 字；请缩短",
        "the text has {length} characters with its signature, {most} are the most; shorten it",
    ),
    "other": (
        409,
        "编号 {id} 已用于另一条消息；请换一个编号",
        "the id {id} belongs to another message; take a new one",
    ),
    "day": (
        429,
        "今日限额 {quota} 条已用 {used} 条，这条要 {parts} 条；明日再发，或请市信息中心调整限额",
        "{used} of today's quota of {quota} parts are used and this message has {parts}; send it tomorrow, or have the "
        "information centre raise the quota",
    ),
    "month": (
        429,
        "本月限额 {quota} 条已用 {used} 条，这条要 {parts} 条；下月再发，或请市信息中心调整限额",
        "{used} of this month's quota of {quota} parts are used and this message has {parts}; send it next month, or "
        "have the information centre raise the quota",
    ),
    "rate": (
        429,
        "一分钟内最多 {per_minute} 次请求；请稍候再发",
        "{per_minute} requests a minute are the most; wait a little",
    ),
    "kannel": (
        503,
        "短信网关暂时不收；未计入限额，请用同一编号稍后再发",
        "the gateway does not take it now; it was not counted, send it again later with the same id",
    ),
    "disk": (
        503,
        "无法记录，因此没有发送；请稍后再发",
        "it could not be put on record, so it was not sent; try again later",
    ),
}


def refusal(key: str, **words: object) -> tuple[int, dict[str, object]]:
    """(HTTP status, body) of a refusal."""
    status, zh, en = SENTENCES[key]
    return status, {"error": key, "zh": zh.format(**words), "en": en.format(**words)}
