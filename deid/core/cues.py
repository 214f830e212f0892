"""Words that open a name position: titles, roles, kinship, deeds; in the languages of European hospitals."""

from enum import Enum
from typing import Final

from deid.core.folding import word_set


class Cue(Enum):
    """What a word says of the words behind it."""

    TITLE = 1  # Mrs, Professor: only persons have it
    SHORT_TITLE = 2  # Dr, Mr, Ms: also Digital Radiography, Magnetic Resonance, Multiple Sclerosis
    ROLE = 3  # Operator: a name follows, but not always
    PATIENT = 4
    BY = 5  # performed by
    KIN = 6
    NAME = 7  # "name", "name is"
    FOR = 8  # a weak cue: two names must follow


_WORDS: Final = {
    Cue.TITLE: (
        "prof professor professorin herr herrn frau fraulein mrs miss mister mme mlle madame mademoiselle "
        "monsieur dott "
        "dottssa dottore dottoressa signor signora sig senor senora senorita dra doktor dhr mevr mevrouw "
        "meneer pani pan "
        "privatdozent primar primarius oberarzt oberarztin oa chefarzt chefarztin docteur doutor doutora "
        "rev capt"
    ),
    Cue.SHORT_TITLE: "dr drs mr ms sr sra mx hr hrn fr m mm srta pr",
    Cue.ROLE: (
        "radiologist radiologe radiologin radiologue radiologo technologist technologe technician "
        "technicien tech techs "
        "operator operateur operador operatore physician doctor arzt artzin arztin medecin medico "
        "referring referrer "
        "referred ref surgeon "
        "attending resident fellow nurse consultant interpreter author observer signed attn "
        "contact zuweiser zuweisender uberweiser einsender untersucher befunder mta mtra mtr rta manip "
        "manipulateur "
        "tecnico arts laborant sonographer cardiologist oncologist neurologist pathologist dentist "
        "registrar reader "
        "reporter investigator pi dictated transcribed reviewer verifier gezeichnet gez unterschrift "
        "signature "
        "signe firmado firmato prescripteur correspondant hausarzt aanvrager gp pcp provider "
        "witness requester coordinator dosimetrist physicist user sender sincerely regards dear grussen "
        "hochachtungsvoll"
    ),
    Cue.PATIENT: (
        "patient patientin patiente paciente paziente patientname patientenname patname pat pt pts "
        "subject client"
    ),
    Cue.BY: "by durch par por",
    Cue.KIN: (
        "daughter son wife husband mother father brother sister spouse partner aunt uncle grandmother "
        "grandfather niece "
        "nephew cousin guardian caregiver tochter sohn ehefrau ehemann mutter vater schwester bruder "
        "fille fils mari "
        "epouse mere pere hija hijo esposa esposo madre padre figlia figlio moglie marito dochter zoon "
        "mom dad mum "
        "neighbor neighbour friend interpreter kontakt angehorige baby twin"
    ),
    Cue.NAME: (
        "name nom nome nombre naam named called surname forename firstname lastname vorname nachname "
        "familienname prenom "
        "apellido apellidos cognome achternaam voornaam namens genannt"
    ),
    Cue.FOR: (
        "for fur pour para per of with to from von van vom de and und discussed informed met via an bei"
    ),
}
CUES: Final = {word: cue for cue, words in reversed(_WORDS.items()) for word in words.split()}
DEEDS: Final = word_set(
    "performed reported read signed dictated transcribed reviewed approved verified referred requested "
    "ordered seen "
    "interpreted done scanned acquired entered edited annotated authored prepared created examined "
    "imported exported "
    "supervised assisted checked confirmed electronically checked taken made uploaded printed sent completed "
    "finalized electronically assigned segmented contoured drawn planned treated operated injected "
    "administered "
    "positioned protocolled protocoled attested given discussed called faxed released validated processed "
    "befundet erstellt durchgefuhrt uberwiesen unterschrieben gezeichnet angefordert freigegeben "
    "untersucht diktiert "
    "realise lu signe vu demande interprete redige dicte realizado informado firmado solicitado eseguito "
    "refertato firmato "
    "richiesto realizado verricht aangevraagd beoordeeld"
)
SKIPPED: Final = word_set(
    "dr med univ dent vet rer nat habil hc h c ing dipl mag prof doz pd priv doc phd md msc the is was "
    "and ist war heisst "
    "lautet est es e"
)
CREDENTIALS: Final = word_set(
    "md do phd msc bsc rn np pa frcr frcp facr mbbs rt arrt rdms dmd dds mba mph jr sr ii iii iv"
)
DEGREES: Final = word_set("md phd msc bsc frcr frcp facr mbbs rdms dmd dds mph")
OF_PERSONS: Final = word_set(
    "patient patients pat pt full first last family given middle maiden birth physician doctor mother "
    "father s the his her "
    "subject client person your my radiologist operator technologist referring des der contact emergency "
    "and or her"
)
SHORT_SURNAMES: Final = word_set(
    "li lu wu xu hu ma he ho ng le do an yu gu su du ye bo oh ko yi ha ta to vo ly my"
)
"""Surnames of two letters, which are other words too; they count after a title."""
