"""Made-up people: names of many languages, addresses, numbers. Every draw comes from one seeded generator."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

FAMILIES = [
    "Abernathy", "Achterberg", "Adeyemi", "Aguirre", "Ahlström", "Anagnostou", "Arreola", "Baczewski",
    "Bakshi", "Barrington", "Bellweather", "Bergström", "Bianchetti", "Bogdanovic", "Bouchard",
    "Brankovich", "Calderón", "Castellanos", "Chaudhary", "Chmielewski", "Cottingham", "Czarnecki",
    "D'Alessandro", "Dabrowski", "Delacroix", "Demirkan", "Dhillon", "Dvorak", "Eichelberger", "Ekström",
    "Fairweather", "Fernández-Ruiz", "Fitzgerald", "Fjeldstad", "Gallagher", "Ghirardelli", "Gonçalves",
    "Grünewald", "Guerrero", "Hadjiyiannis", "Haverkamp", "Hernández", "Hinojosa", "Hoffmeister",
    "Ibrahimovic", "Ilyushin", "Iwanowski", "Jankowski", "Jimenez", "Jørgensen", "Kaczmarek", "Kapoor",
    "Karamanlis", "Kirkpatrick", "Kowalczyk", "Krishnamurthy", "Kuznetsov", "Lachapelle", "Larrañaga",
    "Lewandowski", "Lindqvist", "Lundgren", "MacAllister", "Mahmoudi", "Marchetti", "Matsumoto",
    "McGillicuddy", "Mészáros", "Mikkelsen", "Montgomery", "Mukherjee", "Nakamura", "Ndlovu", "Niedermeyer",
    "Novotny", "Nowakowski", "O'Callaghan", "Obradovic", "Okonkwo", "Olszewski", "Ostrowski",
    "Papadopoulos", "Pellegrino", "Pietrzak", "Quackenbush", "Quiñones", "Radhakrishnan", "Rasmussen",
    "Rodríguez", "Rousseau", "Rutherford", "Saavedra", "Sadowski", "Schwarzkopf", "Sienkiewicz", "Sokolova",
    "Stephanopoulos", "Szymanski", "Takahashi", "Thibodeaux", "Tomaszewski", "Tsoukalas", "Underhill",
    "Unterberger", "Valdivia", "Vanterpool", "Vasquez", "Villanueva", "Wasserman", "Wierzbicki",
    "Winterbottom", "Wojciechowski", "Yamaguchi", "Yildirim", "Zambrano", "Zieliński", "Zuckerman", "Çelik",
    "Østergaard",
]  # fmt: skip
GIVENS = [
    "Adelheid", "Agnieszka", "Alejandra", "Ambrose", "Anneliese", "Bartholomew", "Benedikt", "Bronwyn",
    "Camille", "Catalina", "Chidi", "Cornelius", "Dagmar", "Demetrios", "Dolores", "Eberhard", "Eleonora",
    "Esperanza", "Fatima", "Ferdinand", "Florian", "Geraldine", "Gianluca", "Giselle", "Guillermo",
    "Hannelore", "Henrietta", "Ignacio", "Ingeborg", "Isabella", "Jacqueline", "Jedediah", "Joaquín",
    "Katarzyna", "Khadija", "Lakshmi", "Leopold", "Ludmila", "Magdalena", "Marguerite", "Matthias",
    "Mohammed", "Montserrat", "Nathaniel", "Nikolai", "Octavia", "Oluwaseun", "Philippa", "Priscilla",
    "Rajesh", "Reinhold", "Rosalind", "Sebastián", "Siobhan", "Svetlana", "Tatiana", "Thaddeus", "Ulrich",
    "Valentina", "Vladimir", "Wilhelmina", "Xiomara", "Yolanda", "Zbigniew", "Zoë",
]  # fmt: skip
_STREETS = (
    "Larkspur Juniper Thistlewood Bramblewick Sycamore Willowbend Foxglove Hawthorne Saddlebrook Quarrington"
)
_STREET_KINDS = "Street Avenue Lane Drive Road Blvd Court"
_CITIES = [
    "Winterhaven", "Maplewood", "Oakridge", "Steinfurt", "Villareal", "Northbrook", "Harrowgate",
    "Eastbourne", "Pinecrest", "Rockmont", "Langenfeld", "Millersburg", "Cedarville", "Bridgewater",
    "Fairhope",
]  # fmt: skip
_STATES = ["OH", "TX", "MN", "OR", "GA", "WA", "MA", "IL"]
_HOSPITALS = (
    "{city} General Hospital",
    "St. {given} Medical Center",
    "{family} Memorial Clinic",
    "Klinikum {city}",
    "Hôpital {city}",
    "{city} Radiology Associates",
)
_DEPARTMENTS = "Radiology Dept {n}|Imaging East {n}|Neuroradiology {n}|Nuclear Medicine {n}"


@dataclass(frozen=True)
class Person:
    """One made-up patient with everything that a hospital would know of him.

    Attributes:
        name: Patient's Name as in the data set (PN, with `=` groups where the character set has them).
        tokens: The parts of the name that must not survive, as written.
        charset: Specific Character Set that can hold the name.
        id: Patient ID.
        numbers: Other numbers: `ssn`, `mrn`, `admission`, `insurance`.
        birth: YYYYMMDD.
        age: AS value.
        shown: The name as free text shows it, with a blank.
        visits: Dates of the studies.
    """

    name: str
    tokens: tuple[str, ...]
    charset: str | list[str]
    id: str
    numbers: dict[str, str]
    birth: str
    age: str
    sex: str
    shown: str
    street: str
    city: str
    state: str
    zip: str
    phone: str
    email: str
    maiden: str
    visits: tuple[date, ...] = field(default=())


# name, tokens, character set, id (None: made up), shown
_FIXED: tuple[tuple[str, tuple[str, ...], str | list[str], str | None, str], ...] = (
    ("O'Brien-Müller^Maeve^Ann", ("O'Brien-Müller", "Maeve"), "ISO_IR 100", None, "Maeve O'Brien-Müller"),
    ("Li^Na", ("Li", "Na"), "ISO_IR 192", "12", "Na Li"),
    ("Head^Jonathan^Q^Mr", ("Jonathan", "Head"), "ISO_IR 100", None, "Jonathan Head"),
    (
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ("Yamada", "Tarou", "山田", "太郎", "やまだ"),
        ["", "ISO 2022 IR 87"],
        None,
        "Tarou Yamada",
    ),
    ("Wang^XiaoDong=王^小东", ("Wang", "XiaoDong", "王", "小东"), "GB18030", None, "XiaoDong Wang"),
    (
        "Hong^Gildong=洪^吉洞=홍^길동",
        ("Hong", "Gildong", "洪", "吉洞", "홍", "길동"),
        ["", "ISO 2022 IR 149"],
        None,
        "Gildong Hong",
    ),
    ("Łukaszewicz^Świętopełk", ("Łukaszewicz", "Świętopełk"), "ISO_IR 192", None, "Świętopełk Łukaszewicz"),
)


class Draw:
    """Draws names, numbers and places from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def digits(self, count: int) -> str:
        """Return that many digits, the first of them not zero."""
        return str(self.random.randint(1, 9)) + "".join(
            str(self.random.randint(0, 9)) for _ in range(count - 1)
        )

    def family(self) -> str:
        """Return a family name."""
        return self.random.choice(FAMILIES)

    def given(self) -> str:
        """Return a given name."""
        return self.random.choice(GIVENS)

    def staff(self) -> str:
        """Return a person of the hospital, in PN form."""
        suffix = self.random.choice(["", "^^Dr.", "^^^MD", ""])
        return f"{self.family()}^{self.given()}{suffix}"

    def phone(self) -> str:
        """Return a phone number in one of the usual forms (area and exchange never begin with 0 or 1)."""
        area, exchange = self.random.randint(201, 989), self.random.randint(221, 989)
        line = self.digits(4)
        form = self.random.choice(["({0}) {1}-{2}", "{0}-{1}-{2}", "{0}.{1}.{2}", "+1 {0} {1} {2}"])
        return form.format(area, exchange, line)

    def street(self) -> str:
        """Return a house number and street."""
        choose = self.random.choice
        return f"{self.random.randint(11, 9899)} {choose(_STREETS.split())} {choose(_STREET_KINDS.split())}"

    def place(self) -> tuple[str, str, str]:
        """Return city, state and postal code."""
        return self.random.choice(_CITIES), self.random.choice(_STATES), self.digits(5)

    def hospital(self) -> str:
        """Return the name of an institution."""
        form = self.random.choice(_HOSPITALS)
        return form.format(city=self.random.choice(_CITIES), given=self.given(), family=self.family())

    def department(self) -> str:
        """Return the name of a department."""
        return self.random.choice(_DEPARTMENTS.split("|")).format(n=self.random.randint(2, 9))

    def serial(self) -> str:
        """Return the serial number of a device."""
        return self.random.choice(["SN", "CT", "MRC", ""]) + self.digits(7)

    def person(self, index: int) -> Person:
        """Return patient number `index`: the fixed odd names first, then made-up ones."""
        if index < len(_FIXED):
            name, tokens, charset, fixed_id, shown = _FIXED[index]
        else:
            family, given = self.family(), self.given()
            name, tokens, charset, fixed_id = f"{family}^{given}", (family, given), "ISO_IR 192", None
            shown = f"{given} {family}"
        today = date(2019, 1, 1) + timedelta(self.random.randint(0, 900))
        years = self.random.choice([1, 34, 47, 63, 72, 88, 91, 97]) if index else 93
        birth = today - timedelta(years * 365 + self.random.randint(20, 300))
        city, state, code = self.place()
        latin = name.split("=")[0].replace("^", ".").replace("'", "").lower()
        latin = latin.encode("ascii", "ignore").decode()
        return Person(
            name=name,
            tokens=tokens,
            charset=charset,
            id=fixed_id or self.random.choice(["MRN-{}", "{}", "PT{}", "H-{}-7"]).format(self.digits(8)),
            numbers={
                "ssn": f"{self.random.randint(101, 665)}-{self.random.randint(11, 98)}-{self.digits(4)}",
                "mrn": self.digits(9),
                "admission": "ADM" + self.digits(7),
                "insurance": self.digits(10),
            },
            birth=birth.strftime("%Y%m%d"),
            age=f"{years:03d}Y",
            sex=self.random.choice("MFO"),
            shown=shown,
            street=self.street(),
            city=city,
            state=state,
            zip=code,
            phone=self.phone(),
            email=f"{latin}{self.digits(2)}@mailbox{self.digits(2)}.example.org",
            maiden=self.family(),
            visits=tuple(today + timedelta(self.random.randint(7, 400) * n + n) for n in range(3)),
        )
