"""Patterns of identity that need no knowledge of the patient: numbers, contacts, accounts, paths.

Every pattern is bounded, so that time grows linearly with the text, and tried only where a word or sign
announces it. What stays on purpose: years alone, times without a date, numbers of fewer than seven digits
without a label, versions, and UIDs that DICOM registered (1.2.840.10008).
"""

import re
from collections.abc import Iterator

from deid.core.addresses import address_removals
from deid.core.datetext import Removal, age_removals, date_removals
from deid.core.folding import Text
from deid.core.hints import Hint, hints_of
from deid.core.people import person_removals

_OF_NUMBER = r"(?:[ ._-]{0,2}(?:no|nr|num|number|nummer|numero|id|code|identifier|#|n°))?"
_LABEL = (
    r"mrn|mr ?#|pid|pat(?:ient(?:en)?)?[ ._-]{0,2}(?:id|nr|no|number|nummer|#)|acc(?:ession)?(?:num|no)?|"
    r"fall(?:nr|nummer)?|case|order|chart|record|dossier|ipp|nip|visit|encounter|acc(?:oun)?t|policy"
    r"|insurance|ssn|"
    r"sin|nhs|nir|bsn|ahv|svnr|svn|dni|nif|nie|auftrag(?:s(?:nummer|nr))?|aufnahme(?:nr|nummer)?|"
    r"(?:pat|patient|patienten|akten|versicherungs|vers)\.?[ -]{0,2}(?:nummer|nr|no|id)|akte|medical "
    r"record|claim|"
    r"member|subscriber|npi|licen[cs]e|dea|cedula|expediente|historia(?: clinica)?|nhc|cartella"
    r"|hosp(?:ital)?|"
    r"requisition|req|specimen|barcode|passport|reisepass|(?:personal)?ausweis|anforderung|study"
    r"|exam(?:ination)?|"
    r"cpr|personnummer|pesel|rut|cpf|curp|rfc|medicare|medicaid|health|identifier|uid|guid|social "
    r"security|mitglied|"
    r"befund|krankenkasse"
)
_RECORD = re.compile(
    rf"(?<![a-z])(?P<label>{_LABEL})(?P<number>{_OF_NUMBER})(?![a-z])\.?(?P<sign> {{0,2}}(?:[:=#]|is(?= "
    rf"))?[ #:=-]{{0,3}})"
    r"(?P<value>[a-z]{0,6}[-_ /.]?\d[a-z\d]{0,24}(?:[-/._][a-z]{0,4}\d[a-z\d]{0,12}){0,6}"
    r"(?: \d{3,4}(?! ?[a-z])){0,3})(?![a-z\d])"
)
_SURE_LABEL = re.compile(
    r"(?:mrn|mr ?#|pid|pat|ssn|nhs|nir|bsn|ahv|svn|dni|nif|nie|nhc|ipp|medical|aufnahme|acc|npi|cpr|dea"
    r"|social|"
    r"fallnr|fallnummer|auftragsn|medicare|medicaid)"
)
_ID = re.compile(
    r"(?<![a-z-])ids?[ .-]{0,2}(?:no|nr|number)?(?: {0,2}[:=#] {0,2}| )"
    r"(?P<value>[a-z]{0,6}[-_./]?\d[a-z\d]{0,24}(?:[-/._][a-z]{0,4}\d[a-z\d]{0,12}){0,6})(?![a-z\d])"
)
_NUMBER = re.compile(
    r"(?<![\w.])(?:"
    r"\d{3}-\d{2}-\d{4}(?!\d)"  # US social security number
    r"|756[. ]\d{4}[. ]\d{4}[. ]\d{2}(?!\d)"  # Swiss AHV
    r"|[12] \d{2} (?:0[1-9]|1[0-2]|[2-9]\d) \d[\dab] \d{3} \d{3}(?: \d{2})?(?!\d)"  # French NIR
    r"|[a-z]{6}\d\d[a-z]\d\d[a-z]\d{3}[a-z](?!\w)"  # Italian codice fiscale
    r"|\d{8}-?[a-z](?!\w)"  # Spanish DNI
    r"|[a-z]{2}\d{2}(?: ?[a-z\d]{4}){3,7}(?: ?[a-z\d]{1,3})?(?!\w)"  # IBAN
    r"|(?:\d{4}[ -]){3}\d{4}(?!\d)"  # payment card
    r"|\d{6}[-+]\d{4}(?!\d)"  # Nordic personal numbers
    r"|\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)"  # Brazilian CPF
    r")"
)
_LONG_RUN = re.compile(r"(?<![\d.])\d{7,}(?:[-_/]\d{1,6}){0,3}(?!\d)(?!\.\d)")
_HEX = re.compile(
    r"(?<![a-z\d])(?:[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}"
    r"|(?=[a-f]{0,15}\d)(?=\d{0,15}[a-f])[\da-f]{16,128})(?![a-z\d])"
)
_MAC = re.compile(r"(?<![\w:])(?:[\da-f]{2}[:-]){5}[\da-f]{2}(?![\w:])")
_UID = re.compile(r"(?<![\d.])(?:[0-2](?:\.\d{1,39}){5,}|2\.25\.\d{6,39})(?!\d)")
_UID_ROOT = re.compile(r"1\.2\.\d{2,}\.|1\.3\.6\.1\.|2\.16\.\d{2,}\.")
"""How UIDs begin that organisations were given; what begins otherwise is known by its length."""
_SHORTEST_UID = 18
_IP = re.compile(
    r"(?<![\w.])(?P<v4>(?:\d{1,3}\.){3}\d{1,3})(?::\d{2,5})?(?!\.?\w)"
    r"|(?<![\w:.])(?:[\da-f]{1,4}:){3,7}:?[\da-f]{1,4}(?![\w:])"
)
_WORD_EDGE = 24
_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
_PRIVATE_IP = re.compile(r"10\.(?=.{6})|127\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.168\.")
_VERSION = re.compile(r"(?:v|ver|vers|version|release|rel|rev|software|sw|fw|build)[ .:=_-]{0,3}$")
_PHONE = re.compile(
    r"(?<![\w.,-])(?:"
    r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?[-.]?|\d{3}[ .-])\d{3}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?(?!\d|\.\d)"
    r"|\+?1?[ .-]?\(\d{3}\)\d{7}(?!\d)"
    r"|[2-9]\d{2}-\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?(?![\d-]|\.\d)"
    r"|(?:\+|00)[1-9]\d{0,2}[ (./-]{0,2}\d(?:[ ()./-]{0,2}\d){6,13}(?!\d)"
    r"|0\d(?:[ .-]\d\d){4}(?!\d)"
    r"|\(?0\d{1,4}\)?[ /-]{1,3}(?:\d{4,8}|\d{2,8}(?:[ /-]\d{2,5}){1,4})(?!\d|\.\d)"
    r")"
)
_LABELLED_PHONE = re.compile(
    r"(?<![a-z])(?:tel(?:ephone|efon|efono|efone)?|phone|ph|fax|mobile|cell|handy|mob|tlf|tfno|pager"
    r"|beeper|call|"
    r"rufnummer|durchwahl|ext)(?:\.|[ .](?:no|nr|number)\.?)?[ :#=]{0,3}"
    r"[+(]?\d(?:[ ()./-]{0,2}\d){2,17}(?: ?(?:x|ext\.?) ?\d{1,6})?(?!\d)"
)
_EMAIL = re.compile(
    r"(?:mailto:)?(?<![^\s@<>()\[\],;:\"'])[^\s@<>()\[\],;:\"']{1,64}(?:@| ?[\[(]at[\])] ?)"
    r"[\w-]{1,63}(?:(?:\.| ?[\[(]dot[\])] ?)[\w-]{1,63}){0,6}"
    r"|@[\w.-]{1,63}"
)
_URL = re.compile(r"(?<![a-z])(?:(?:https?|s?ftp|file|dicom|ldap|smb)://|www\.)[^\s<>\"']{1,2048}")
_PATH = re.compile(
    r"(?<![a-z])[a-z]:[\\/](?:[^\s\\/<>|\"]{1,255}[\\/]?){1,64}"
    r"|\\\\[\w.$-]{1,255}(?:\\[^\s\\<>|\"]{1,255}){0,64}"
    r"|(?<![\w/])/(?:home|users|export|mnt|media|data|srv|net|usr|var|tmp|opt|root"
    r"|volumes)/[^\s<>|\"']{1,1024}"
    r"|(?<![\w~])~\w[\w.-]{0,63}/\S{0,1024}"
)
_ACCOUNT = re.compile(
    r"(?<![a-z])(?:user(?: ?name| ?id)?|login|logon|benutzer(?:name)?|usuario|utilisateur|utente|host(?: "
    r"?name)?|"
    r"aet(?:itle)?|workstation) ?[:=] ?[\w.@$\\-]{1,64}"
)
_EARTH = re.compile(
    r"(?<![a-z])(?:gps|lat|lon|lng|latitude|longitude|coord(?:inates?)?|geo|koordinaten)\.?[ :=]{0,3}"
    r"(?:lat(?:itude)?[ :=]{0,3})?[+-]?\d{1,3}[.,]\d{2,9}°?(?: ?[nsew](?![a-z]))?"
    r"(?:[ ,;/]{1,3}(?:lon|lng|longitude)?[ :=]{0,3}[+-]?\d{1,3}[.,]\d{2,9}°?(?: ?[nsewo](?![a-z]))?)?"
)
_DEGREES = re.compile(
    r"(?<![\d.])\d{1,3}(?:\.\d{2,9} ?° ?[nsewo]"
    r"|° ?\d{1,2}['\u2032\u2019] ?(?:\d{1,2}(?:\.\d{1,6})?(?:[\"\u2033\u201d]|'')? ?)?[nsewo])(?![a-z])"
    r"|(?<![\d.])\d{1,3}\.\d{3,9} ?[ns][ ,;/]{1,3}\d{1,3}\.\d{3,9} ?[ewo](?![a-z])"
)


def removals(text: Text, names: frozenset[str]) -> Iterator[Removal]:
    """Everything that patterns find in a text.

    Args:
        text: The text.
        names: Folded words of the patient's and other persons' names; in a name position they count as
            names even where they are everyday words.

    Yields:
        Start, end and replacement, in no order; they may overlap.
    """
    hints = hints_of(text)
    yield from _contacts(text, hints)
    if hints & Hint.DIGITS:
        yield from _numbers(text, hints)
    if hints & Hint.RECORD:
        yield from _records(text)
    yield from date_removals(text, hints)
    yield from age_removals(text, hints)
    yield from address_removals(text, hints)
    yield from person_removals(text, names)


def _contacts(text: Text, hints: int) -> Iterator[Removal]:
    folded = text.folded
    if "@" in folded or "at]" in folded or "at)" in folded:
        yield from _all(text, _EMAIL)
    if "://" in folded or "www." in folded:
        yield from _all(text, _URL)
    if "/" in folded or "\\" in folded:
        yield from _all(text, _PATH)
    if hints & Hint.ACCOUNT:
        yield from _all(text, _ACCOUNT)
    if hints & Hint.EARTH:
        yield from _all(text, _EARTH)
    if "°" in folded or hints & Hint.DIGITS:
        yield from _all(text, _DEGREES)
    if folded.count(":") >= 3 or folded.count("-") >= 4:
        yield from _all(text, _MAC)


def _numbers(text: Text, hints: int) -> Iterator[Removal]:
    folded = text.folded
    for pattern in (_NUMBER, _HEX, _PHONE):
        yield from _all(text, pattern)
    for match in _LONG_RUN.finditer(folded):
        start, end = match.span()
        left, right = folded[max(0, start - _WORD_EDGE) : start], folded[end : end + _WORD_EDGE]
        start -= len(left) - len(left.rstrip(_ALPHANUMERIC))
        end += len(right) - len(right.lstrip(_ALPHANUMERIC))
        yield *text.span(start, end), ""
    if hints & Hint.PHONE:
        yield from _all(text, _LABELLED_PHONE)
    if folded.count(".") >= 2:
        for match in _UID.finditer(folded):
            long = len(match[0]) >= _SHORTEST_UID or _UID_ROOT.match(match[0])
            if long and not match[0].startswith("1.2.840.10008."):
                yield *text.span(*match.span()), ""
    if folded.count(".") >= 3 or folded.count(":") >= 3:
        for match in _IP.finditer(folded):
            if match["v4"] is None or _is_address(
                match["v4"], folded[max(0, match.start() - 12) : match.start()]
            ):
                yield *text.span(*match.span()), ""


def _is_address(digits: str, before: str) -> bool:
    """Four numbers with dots: an IP address unless they may be a version."""
    octets = digits.split(".")
    if any(int(octet) > 255 or (octet[0] == "0" and octet != "0") for octet in octets):
        return False
    if _PRIVATE_IP.match(digits):
        return True
    return len(digits) >= 11 and _VERSION.search(before) is None


def _records(text: Text) -> Iterator[Removal]:
    """Record numbers go with their labels; what looks like a plain number needs a sign after the label."""
    folded = text.folded
    for match in _RECORD.finditer(folded):
        digits = sum(character.isdecimal() for character in match["value"])
        signed = bool(match["sign"].strip() or match["number"])
        sure = _SURE_LABEL.match(match["label"]) is not None
        if (sure and (digits >= 2 or signed)) or (signed and digits >= 3) or digits >= 5:
            yield *text.span(*match.span()), ""
    for match in _ID.finditer(folded):
        if sum(character.isdecimal() for character in match["value"]) >= 3:
            yield *text.span(*match.span()), ""


def _all(text: Text, pattern: re.Pattern[str]) -> Iterator[Removal]:
    for match in pattern.finditer(text.folded):
        yield *text.span(*match.span()), ""
