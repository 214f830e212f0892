"""Postal addresses in free text: street with number, town with postal code, military mail, post boxes.

A street name alone is no address; a number, a state or a postal code must stand beside it.
"""

from collections.abc import Iterator

from deid.core.datetext import Removal, compiled
from deid.core.folding import Text, word_set, words_of
from deid.core.hints import STREETS, Hint
from deid.core.lexicon import lexicon

_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY"
    "|NC|ND|OH|"
    "OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|PR|VI|GU|AS|MP|FM|MH|PW"
)
_STATE_NAMES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii"
    "|Idaho|Illinois|"
    "Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi"
    "|Missouri|"
    "Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota"
    "|Ohio|Oklahoma|"
    "Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia"
    "|Washington|"
    "West Virginia|Wisconsin|Wyoming"
)
_MEDICAL_STATES = word_set("CT PA LA MS OR IN ID AL MR MD ME CO DE MA AS HI OK SC SD VI PR AR")
"""States whose letters are also words of radiology; they need a postal code."""

_CAPITAL = r"(?:St\.|[A-ZÀ-ÖØ-ÞŠŽČŁ][\w'\u2019-]{1,40})"
_CITY = rf"{_CAPITAL}(?: {_CAPITAL}){{0,3}}"
_ROOM = r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Bldg|Building|#)\.? ?#?[\w-]{1,8})"
_ZIP = r"\d{5}(?:-\d{4})?"
_US = rf"(?:{_CITY},? )?(?:{_STATES}|{_STATE_NAMES})(?:[, ]{{1,2}}{_ZIP})?(?!\w)"
_CODE_CITY = rf"(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?: [A-Z]{{2}}(?![a-z]))? {_CITY}"
_TAIL = rf"{_ROOM}?(?:[,\r\n ]{{1,3}}(?:{_CODE_CITY}|{_CITY},? {_ZIP}|{_US}))?"
_STREET = "|".join(sorted({s.title() for s in STREETS} | {s.upper() for s in STREETS}, key=len, reverse=True))
_SURE = (
    "Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Place|Square|Terrace|Circle|Parkway|"
    "Pkwy|Highway|Hwy|Trail|STREET|ST|ROAD|RD|AVENUE|AVE|BOULEVARD|BLVD|LANE|LN|DRIVE|DR|PARKWAY|HIGHWAY"
)
_GERMAN_ENDING = (
    "(?:stra(?:ß|ss)e|str\\.|gasse|platz|allee|straat|laan|gracht|plein|weg|-Stra(?:ß|ss)e"
    "|-(?:Str\\.|Weg|Ring|Platz|Allee|Gasse|Damm|Ufer)|STRASSE|STRAßE|STR\\.|gatan)"
)

_AMERICAN = (
    rf"(?<![\w.])\d{{1,6}}[A-Za-z]?(?:-\d{{1,5}})? (?:[NSEW]{{1,2}}\.? )?"
    rf"(?:(?:{_CAPITAL}\.?|[A-Z]\.|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}?"
    rf"(?:(?:{_SURE})(?!\w)\.?(?: [NSEW]{{1,2}}(?!\w))?{_TAIL}"
    rf"|(?:{_STREET}|{_CAPITAL})(?!\w){_ROOM}?[,\r\n ]{{1,3}}(?:{_CITY},? )?(?:{_STATES}),? {_ZIP}(?!\w))"
)
_TOWN = rf"(?<!\w)(?P<city>{_CITY}), ?(?P<state>{_STATES}|{_STATE_NAMES})(?P<zip>[, ]{{1,2}}{_ZIP})?(?!\w)"
_PATTERNS: tuple[tuple[int, str], ...] = (
    (Hint.STREET, _AMERICAN),
    (
        Hint.BOX,
        (
            r"(?<!\w)(?:(?:PSC|CMR|Unit|USNS|USS|USCGC|USNV) \w{1,20}(?:,? Box \d{1,6})?[,\s]{1,3})?"
            r"(?:APO|FPO|DPO),? (?:AA|AE|AP),? \d{5}(?:-\d{4})?"
            r"|(?<!\w)(?:PSC|CMR|Unit) \d{1,6},? Box \d{1,6}"
            r"|(?<!\w)P\.? ?O\.? ?Box \d{1,7}|(?<!\w)Postfach \d{1,7}"
        ),
    ),
    (
        Hint.GERMAN,
        (
            rf"(?<!\w)(?:[A-ZÄÖÜ][\w.-]{{0,30}} ){{0,2}}[A-ZÄÖÜ][\w-]{{0,40}}?{_GERMAN_ENDING} "
            rf"{{0,2}}\d{{1,4}} ?[a-zA-Z]?"
            rf"(?!\w){_TAIL}"
            r"|(?<!\w)(?:[A-ZÄÖÜ][\w.-]{1,30} ){1,2}(?:Stra(?:ß|ss)e|Str\.|Weg|Platz|Allee|Gasse|Ring"
            r"|Damm|Ufer) \d{1,4} ?"
            rf"[a-z]?(?!\w){_TAIL}"
            rf"|(?<!\w)(?:Am|An der|Im|Auf der|Zum|Zur) [A-ZÄÖÜ][\w-]{{1,30}} \d{{1,4}}[a-z]?,? \d{{5}} "
            rf"{_CITY}"
        ),
    ),
    (
        Hint.FRENCH,
        (
            r"(?<!\w)\d{1,4}(?: ?bis| ?ter)?,? (?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse"
            r"|quai|cours|Rue|"
            rf"Avenue|Boulevard|Place|Chemin|Allée|Impasse|Quai) (?:(?:de|du|des|la|le|les|[dl]['\u2019]"
            rf"|{_CAPITAL}) ?){{1,6}}"
            rf"(?:[, \r\n]{{0,3}}(?:F-)?\d{{5}} {_CITY})?"
        ),
    ),
    (
        Hint.ROMANCE,
        (
            r"(?<!\w)(?:Calle|C/|Avda\.?|Avenida|Av\.|Paseo|Plaza|Carrer|Via|Viale|Piazza|Corso|Largo|Rua"
            r"|Travessa|Praça) ?"
            rf"(?:(?:de|del|la|los|las|di|della|dei|da|do|das|dos|{_CAPITAL}) ){{0,5}}"
            rf"{_CAPITAL},? ?(?:n[.º°]{{0,2}} ?)?\d{{1,4}}(?:[ ,]{{1,2}}\d{{1,2}}[ºª°]?)?(?!\w){_TAIL}"
        ),
    ),
    (
        Hint.HOME,
        (
            r"(?i:(?<!\w)(?:lives|living|resid(?:es|ing)|wohnhaft|(?:home |mailing )?address|addr|adresse"
            r"|anschrift|"
            r"direcci[oó]n|indirizzo|adres|habite|domicili[eé]))(?: (?:at|in|bei|à|en|a))?\.?[ :]{1,3}"
            rf"(?:(?:\d[\w/-]{{0,8}}|#\w{{1,6}}|{_CAPITAL}|de|la|le|der|van|von|am|an|du"
            rf"|des)(?:[ ,]{{1,2}}|(?!\w))){{1,12}}"
        ),
    ),
    (
        # Any street, if a town with its postal code follows.
        Hint.DIGITS,
        (
            rf"(?<!\w)(?:(?:{_CAPITAL}|de|der|den|van|von|la|le|di|al\.|aleja|ul\.) ){{0,4}}{_CAPITAL},? "
            rf"\d{{1,4}}"
            r"(?:[/-]\d{1,4})?[a-z]?(?:, | ?[\r\n]{1,2})(?:[A-Z]{1,2}-)?\d{2}-?\d{2,3}(?: ?[A-Z]{2}(?!\w))?"
            rf"[, \r\n]{{1,2}}{_CITY}"
        ),
    ),
    (
        Hint.DIGITS,
        (
            rf"(?<!\w)\d{{1,5}}[a-z]? {_CITY}[,\r\n]{{1,2}} ?(?:{_CITY}[,\r\n ]{{1,2}}){{1,2}}"
            r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)"
        ),
    ),
    (Hint.DIGITS, (rf"(?<!\w)(?:D|A|CH|DE|AT|F|NL|B|L|I|E)-\d{{4,5}}(?: {_CITY})?(?!\w)")),
    (
        Hint.POSTCODE,
        (
            r"(?i:(?<!\w)(?:zip(?: ?code)?|plz|post(?:al)? ?code|postleitzahl|code postal|cap"
            r"|cp))\.?[ :#]{1,3}"
            rf"(?:\d{{4,5}}(?:-\d{{3,4}})?|[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}})(?: {_CITY})?(?!\w)"
        ),
    ),
)
_UK_POSTCODE = (
    r"(?<![\w-])(?:[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]|[A-PR-UWYZ][A-HK-Y]\d) \d[ABD-HJLNP-UW-Z]{2}(?!\w)"
)
_UNITS = word_set("SE ES ST TH ND RD AP LA RA")


def address_removals(text: Text, hints: int) -> Iterator[Removal]:
    """Addresses of a text; a street number or a postal code goes with its words."""
    source = text.source
    for hint, pattern in _PATTERNS:
        if hints & hint:
            for match in compiled(pattern).finditer(source):
                yield match.start(), match.start() + len(match[0].rstrip(" ,")), ""
    if "," in source:
        for match in compiled(_TOWN).finditer(source):
            city = words_of(match["city"])
            unknown = [word for word in city if not lexicon().is_word(word)]
            if (unknown and match["state"] not in _MEDICAL_STATES) or match["zip"]:
                yield match.start(), match.end(), ""
    if hints & (Hint.DIGITS | Hint.POSTCODE):
        for match in compiled(_UK_POSTCODE).finditer(source):
            if match[0][-2:] not in _UNITS:
                yield match.start(), match.end(), ""
