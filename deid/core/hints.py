"""What single words announce, so that a pattern is tried only where a word calls for it."""

from typing import Final

from deid.core.folding import Text, word_set


class Hint:
    """What a word announces, as bits; plain integers, for they are tested for every text."""

    MONTH: Final = 1
    RECORD: Final = 2
    STREET: Final = 4
    PHONE: Final = 8
    AGE: Final = 16
    EARTH: Final = 32
    ACCOUNT: Final = 64
    GERMAN: Final = 128
    FRENCH: Final = 256
    ROMANCE: Final = 512
    BOX: Final = 1024
    HOME: Final = 2048
    POSTCODE: Final = 4096
    DIGITS: Final = 8192


MONTHS: Final = word_set(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "januar janner februar feber marz maerz mai juni juli oktober dezember mrz okt dez "
    "janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre janv fevr avr juil "
    "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre "
    "ene abr dic gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "januari februari maart mei augustus "
    "janeiro fevereiro marco maio junho julho setembro outubro novembro dezembro"
)
"""Month names of English, German, French, Spanish, Italian, Dutch and Portuguese, folded."""

STREETS: Final = word_set(
    "street st road rd avenue ave boulevard blvd lane ln drive dr way court ct place pl square sq terrace "
    "ter circle "
    "cir parkway pkwy highway hwy trail trl loop crescent close mews row alley path pike plaza point "
    "ridge run valley "
    "view village ville walk creek heights hollow island isle junction knoll knolls landing manor meadow "
    "meadows mill "
    "mills mission motorway mount mountain neck orchard oval overpass park parks pass passage pine pines "
    "plain plains "
    "port prairie radial ramp ranch rapid rapids rest river route shoal shoals shore shores skyway spring "
    "springs "
    "spur squares station stravenue stream summit throughway trace track trafficway tunnel turnpike "
    "underpass union "
    "unions viaduct vista well wells bypass bluff bluffs bottom branch bridge brook burg burgs camp "
    "canyon cape "
    "causeway center centers cliff cliffs club common corner corners course courts cove coves crest crossing "
    "crossroad curve dale dam divide estate estates expressway extension fall falls ferry field fields "
    "flat flats "
    "ford forge fork forks fort freeway garden gardens gateway glen green grove harbor haven hill hills "
    "inlet key "
    "keys lake lakes land light lodge mall"
)
"""Street suffixes of the United States (USPS Publication 28, appendix C1), folded."""

_WORDS: Final = {
    Hint.MONTH: " ".join(MONTHS),
    Hint.RECORD: (
        "mrn mr pid patid patientid pat patient patienten acc accession accnum accno fall fallnr "
        "fallnummer case order "
        "chart record hospital hosp id ids ssn sin nhs nir bsn ahv svnr svn dni nif nie dossier ipp nip "
        "visit "
        "encounter account acct policy insurance versicherungsnummer versicherungs vers versnr auftrag "
        "auftragsnr "
        "auftragsnummer aufnahme aufnahmenr aufnahmenummer patnr patientennummer patientennr "
        "patientnummer akte akten "
        "aktennummer medical claim member subscriber npi license licence dea cedula expediente historia "
        "nhc cartella "
        "study requisition req exam examination specimen barcode social passport reisepass ausweis "
        "personalausweis "
        "mitglied krankenkasse befund anforderung cpr personnummer pesel rut cpf curp rfc medicare "
        "medicaid health "
        "identifier uid guid"
    ),
    Hint.STREET: " ".join(sorted(STREETS)),
    Hint.GERMAN: "str weg platz allee gasse strasse am im an auf zum zur ring damm ufer",
    Hint.FRENCH: "rue bd boulevard avenue av place impasse chemin quai cours allee",
    Hint.ROMANCE: (
        "calle c avda avenida av paseo plaza carrer via viale piazza corso largo rua travessa praca"
    ),
    Hint.BOX: "apo fpo dpo psc cmr box postfach",
    Hint.HOME: (
        "address addr adresse anschrift direccion indirizzo adres lives living resides residing wohnhaft "
        "domicilie habite"
    ),
    Hint.POSTCODE: "zip plz postcode postal post cap cp postleitzahl",
    Hint.PHONE: (
        "tel telefon telephone phone ph fax mobile cell handy mob telefono telefone tlf pager beeper call "
        "rufnummer "
        "durchwahl ext tfno"
    ),
    Hint.AGE: (
        "y yo yr yrs year years yearold age aged alter jahr jahre jahrig jahrige jahriger jahrigen "
        "jahriges jaehrig "
        "jaehrige jaehriger ans anos anni jaar jarig jarige eta edad leeftijd idade j"
    ),
    Hint.EARTH: "gps lat lon latitude longitude coordinates coordinate coord geo koordinaten lng",
    Hint.ACCOUNT: (
        "user username userid login logon benutzer benutzername usuario utilisateur utente host hostname "
        "aet aetitle "
        "workstation"
    ),
}


def _table() -> dict[str, int]:
    table: dict[str, int] = {}
    for hint, words in _WORDS.items():
        for word in words.split():
            table[word] = table.get(word, 0) | hint
    return table


_HINTS: Final = _table()
_STREET_ENDINGS = (
    "strasse",
    "str",
    "gasse",
    "platz",
    "allee",
    "straat",
    "laan",
    "gracht",
    "plein",
    "weg",
    "gatan",
)


def hints_of(text: Text) -> int:
    """What the words of a text announce; ``DIGITS`` where it has four or more of them."""
    found = digits = 0
    for word in text.words:
        if word[0].isdecimal():
            digits += len(word)
        else:
            found |= _HINTS.get(word, 0)
            if word[-1] in "ertznmg" and word.endswith(_STREET_ENDINGS):
                found |= Hint.GERMAN
    if not digits:
        # An address without a number cannot be told from a description; "lives in" can.
        found &= ~(
            Hint.STREET | Hint.GERMAN | Hint.FRENCH | Hint.ROMANCE | Hint.BOX | Hint.POSTCODE | Hint.AGE
        )
    return found | Hint.DIGITS if digits >= 4 else found
