"""Results of audits, made up but consistent: curves, shares and areas come from the same drawn scores."""

import copy

import numpy as np

from deid.audit.words import sentence

NO_REASON = {"status": "not assessed", "reason": "this attack was not asked for"}
EVIL = "<img src=x onerror=alert(1)><script>alert(2)<\u200bscript>'\"{{ 7*7 }}&amp;"


def measure(value, half=0.04, confidence=0.95, low=0.0, high=1.0):
    bounds = (max(low, value - half), min(high, value + half))
    return {
        "value": round(value, 4),
        "lower": round(bounds[0], 4),
        "upper": round(bounds[1], 4),
        "confidence": confidence,
    }


def attack(separation, attacker="siamese", genuine=340, impostors=4000, patients=120, seed=0, **fields):
    """An attacker whose genuine scores lie so many standard deviations above the others."""
    random = np.random.default_rng(seed)
    same, other = random.normal(separation, 1, genuine), random.normal(0, 1, impostors)
    thresholds = np.quantile(np.concatenate([same, other]), np.linspace(1, 0, 120))
    fpr, tpr = ((scores[:, None] >= thresholds).mean(0) for scores in (other, same))
    auc = float((same[:, None] > other).mean())
    auc = max(auc, 1 - auc)
    edges = np.linspace(min(same.min(), other.min()), max(same.max(), other.max()), 31)
    gallery = patients
    ranks = 1 + random.binomial(gallery - 1, np.array([(other > score).mean() for score in same]))
    cmc = [float((ranks <= k).mean()) for k in range(1, 51)]
    at = {rate: float((same > np.quantile(other, 1 - rate)).mean()) for rate in (0.01, 0.001)}
    return {
        "status": "assessed",
        "attacker": attacker,
        "auc": measure(auc),
        "eer": measure(float(min(np.maximum(fpr, 1 - tpr)))),
        "tpr_at_fpr_1e-2": measure(at[0.01]),
        "tpr_at_fpr_1e-3": measure(at[0.001]),
        "rank_1": measure(cmc[0]),
        "rank_5": measure(cmc[4]),
        "rank_10": measure(cmc[9]),
        "mean_average_precision": measure(float((1 / ranks).mean())),
        "gallery": gallery,
        "chance_rank_1": 1 / gallery,
        "genuine": genuine,
        "impostors": impostors,
        "patients": patients,
        "roc": {"fpr": [0.0, *fpr.tolist(), 1.0], "tpr": [0.0, *tpr.tolist(), 1.0]},
        "cmc": cmc,
        "histogram": {
            "edges": edges.tolist(),
            "genuine": (np.histogram(same, edges)[0] / genuine).tolist(),
            "impostors": (np.histogram(other, edges)[0] / impostors).tolist(),
        },
        **fields,
    }


def link(rank_1, gallery=1000):
    return {
        "rank_1": measure(rank_1, 0.03),
        "auc": measure(0.5 + rank_1 / 2, 0.02),
        "gallery": gallery,
        "chance_rank_1": 1 / gallery,
    }


def manifest(**fields):
    return {
        "python": "3.11.9",
        "torch": "2.5.1",
        "options": {
            "attack": ["reid", "linkage"],
            "effort": "quick",
            "seed": 0,
            "strength": 1.0,
            "key": None,
        },
        "models": {"chest-critic": "3f" * 32, "chest-anonymizer": "a0" * 32},
        "recipe": "9c" * 32,
        "seconds": {"reid": 412.3, "linkage": 20.1, "inversion": 188.0, "header": 33.2, "utility": 61.5},
        **fields,
    }


def plane():
    """Five strengths whose price rises; the release was made at 0.8."""
    reached = {"0": 0.91, "0.33": 0.84, "0.67": 0.69, "0.8": 0.63, "1": 0.58}
    points = {
        name: {
            "status": "assessed",
            "strength": float(name),
            "attacker": "mami",
            "auc": measure(auc),
            "attackers": {"mami": measure(auc), "siamese": measure(auc - 0.05)},
            "retained": measure(1 - 0.08 * float(name) ** 2, 0.012 * float(name), high=1.2),
            "findings": {
                finding: {
                    "before": measure(before, 0.03),
                    "after": measure(before - 0.04 * float(name), 0.03),
                    "difference": measure(-0.04 * float(name), 0.02, low=-1),
                    "positives": 60,
                    "images": 400,
                }
                for finding, before in (("Effusion", 0.86), ("Edema", 0.85))
            },
            "psnr": measure(40 - 15 * float(name), 0.5, high=99),
            "ssim": measure(0.99 - 0.2 * float(name), 0.01),
        }
        for name, auc in reached.items()
    }
    return {
        "status": "assessed",
        "reason": "",
        "basis": "labels",
        "images": 400,
        "patients": 110,
        "genuine": 320,
        "impostors": 4000,
        "strengths": points,
        "release": copy.deepcopy(points["0.8"]),
    }


def header(**fields):
    return {
        "status": "assessed",
        "reason": "",
        "verdict": "no link found",
        "words": "",
        "certain": 0,
        "possible": 12,
        "values": 4210,
        "files": 1000,
        "by_form": {
            "as it is": 9,
            "case or spacing": 2,
            "date format": 1,
            "base64": 0,
            "UTF-16": 0,
            "hex": 0,
        },
        "by_place": {"standard text": 8, "private": 3, "uid": 0, "file name": 1, "pixel group": 0},
        "hash_dictionary": {"tried": 20000, "recovered": 0, "upper": 0.00015},
        "shift": {"patients": 120, "recovered": 0},
        "uniqueness": {
            "quasi_identifiers": ["PatientSex", "PatientAge", "PatientSize"],
            "k": {"1": 6, "2-4": 18, "5+": 96},
        },
        **fields,
    }


def assessed():
    """A release whose identity attack comes near chance, with two gates of three failed."""
    reid = {
        "status": "assessed",
        "reason": "",
        "verdict": "linkable",
        "words": "",
        "ceiling": attack(2.0, "mami"),
        "frozen": attack(0.15, "mami", seed=1),
        "training_free": attack(0.1, "aligned correlation", seed=2),
        "adaptive": attack(0.75, "siamese", seed=3, restarts={"mean": 0.68, "maximum": 0.71, "count": 3}),
        "scrubbed_scrubbed": attack(0.9, "siamese", seed=4),
        "attackers": {
            "mami": {
                "original_original": attack(2.0),
                "original_scrubbed": attack(0.15, seed=1),
                "scrubbed_scrubbed": attack(0.4, seed=5),
            },
            "aligned correlation": {
                "original_original": attack(0.9, seed=6),
                "original_scrubbed": attack(0.1, seed=2),
                "scrubbed_scrubbed": {"status": "not assessed", "reason": "fewer than 20 genuine pairs"},
            },
        },
        "controls": {"shuffled_labels": measure(0.51), "random_change": attack(1.3, "siamese", seed=7)},
        "power": {"smallest_difference": 0.07},
    }
    found = {
        "Effusion": (0.86, 0.85, 210),
        "Cardiomegaly": (0.88, 0.86, 96),
        "Pneumothorax": (0.82, 0.83, 54),
        "Edema": (0.85, 0.79, 41),
    }
    findings = {
        name: {
            "before": measure(before, 0.03),
            "after": measure(after, 0.03),
            "difference": measure(after - before, 0.02, low=-1),
            "positives": positives,
            "images": 1000,
        }
        for name, (before, after, positives) in found.items()
    }
    result = {
        "schema": 2,
        "tool": {"name": "mami-deid", "version": "0.1.0"},
        "manifest": manifest(),
        "release": {
            "mode": "pairs",
            "patients": 412,
            "patients_with_several_studies": 120,
            "images": 1000,
            "pairs": 1000,
            "modalities": {"DX": 640, "CR": 360},
        },
        "reid": reid,
        "linkage": {
            "status": "assessed",
            "reason": "",
            "verdict": "linkable",
            "words": "",
            "methods": {"perceptual_hash": link(0.41), "pixels": link(0.93), "embedding mami": link(0.32)},
        },
        "inversion": {
            "status": "assessed",
            "reason": "",
            "verdict": "linkable",
            "words": "",
            "methods": {
                "fixed_point": {"error": measure(0.11), "reid": attack(0.2, seed=8), "linkage": link(0.3)},
                "gradient_descent": {
                    "error": measure(0.07),
                    "reid": attack(0.35, seed=9),
                    "linkage": link(0.5),
                },
                "trained_restorer": {"status": "not assessed", "reason": "needs --effort full"},
            },
        },
        "header": header(),
        "text": {"status": "not assessed", "reason": "no text detector is installed"},
        "face": {"status": "not assessed", "reason": "there is no head volume"},
        "utility": {
            "status": "assessed",
            "reason": "",
            "classifier": {"retained": measure(0.972, 0.015, high=1.1), "findings": findings},
            "psnr": measure(31.4, 0.6, high=99),
            "ssim": measure(0.91, 0.01),
            "pixels_unchanged": 0.183,
        },
        "plane": plane(),
        "gates": [
            {"expression": "reid.adaptive.auc.upper<0.6", "found": 0.7415, "passed": False, "reason": ""},
            {"expression": "header.certain==0", "found": 0, "passed": True, "reason": ""},
            {"expression": "face.rank_1<0.1", "found": None, "passed": False, "reason": "not assessed"},
        ],
        "verdict": "linkable",
    }
    for threat in ("reid", "linkage", "inversion", "header"):
        result[threat]["words"] = sentence(threat, result[threat])
    return result


def no_link():
    """Every attacker near chance."""
    result = assessed()
    for number, key in enumerate(("frozen", "training_free", "adaptive", "scrubbed_scrubbed")):
        result["reid"][key] = attack(0.05, f"attacker {number}", seed=20 + number)
    result["linkage"]["methods"] = {"pixels": link(0.002)}
    for threat in ("reid", "linkage", "inversion", "header"):
        result[threat] |= {"verdict": "no link found", "words": ""}
    return result | {"gates": [], "verdict": "no link found"}


def nothing_assessed():
    """Nothing could be tried."""
    threats = ("reid", "linkage", "inversion", "header", "text", "face", "utility", "plane")
    release = {
        "mode": "pairs",
        "patients": 3,
        "patients_with_several_studies": 0,
        "images": 3,
        "pairs": 3,
        "modalities": {},
    }
    return {
        "schema": 2,
        "tool": {"name": "mami-deid", "version": "0.1.0"},
        "manifest": {
            "python": "3.12.1",
            "torch": None,
            "options": {},
            "models": {},
            "recipe": None,
            "seconds": {},
        },
        "release": release,
        **{name: dict(NO_REASON) for name in threats},
        "gates": [],
        "verdict": "not assessed",
    }


def release_alone():
    """Scrubbed images without their originals: only attacks among them and on the header remain."""
    result = nothing_assessed()
    missing = {"status": "not assessed", "reason": "there are no originals"}
    result["release"] |= {
        "mode": "release",
        "patients": 60,
        "images": 150,
        "pairs": 0,
        "modalities": {"CR": 150},
    }
    result["reid"] = {
        "status": "assessed",
        "reason": "",
        "verdict": "linkable",
        "words": "",
        **{key: dict(missing) for key in ("ceiling", "frozen", "training_free", "adaptive")},
        "scrubbed_scrubbed": attack(1.1, "compact", genuine=90, patients=60),
        "attackers": {},
        "controls": {"shuffled_labels": measure(0.49, 0.06), "random_change": dict(missing)},
        "power": {"smallest_difference": 0.11},
    }
    result["linkage"] = dict(missing)
    return result | {"verdict": "linkable"}


def extreme():
    """Perfect attackers, one bin, one rank, no bounds, enormous and tiny numbers."""
    result = assessed()
    reid = result["reid"]
    bare = {"auc": measure(1.0, 0), "genuine": 10**12, "impostors": 0, "patients": 5}
    reid["adaptive"] = bare | {
        "roc": {"fpr": [0], "tpr": [1]},
        "cmc": [1],
        "histogram": {"edges": [0, 1], "genuine": [1], "impostors": [0]},
        "eer": None,
        "gallery": 1,
        "chance_rank_1": 1,
    }
    reid["frozen"] = bare | {"auc": {"value": 0.5, "lower": None, "upper": None, "confidence": 0.95}}
    reid["training_free"] = bare | {"roc": {"fpr": [], "tpr": []}, "cmc": [], "rank_1": measure(1e-9, 0)}
    for threat in ("reid", "linkage", "inversion", "header"):
        result[threat]["words"] = ""
    result["linkage"]["methods"] = {"pixels": link(1.0, 10**9), "embedding " + "x" * 80: link(0.0)}
    result["utility"] |= {
        "psnr": measure(1e30, 0, high=1e31),
        "ssim": measure(-1, 0, low=-1),
        "pixels_unchanged": 1,
    }
    result["utility"]["classifier"] = {"retained": measure(0.0, 0), "findings": {}}
    bare = result["plane"]["strengths"]["0"] | {"findings": {}, "retained": None}
    result["plane"] |= {
        "basis": "structural similarity",
        "strengths": {"0": bare, "1": bare | {"strength": 1.0, "retained": measure(0.0, 0)}},
        "release": {
            "status": "not assessed",
            "reason": "nothing says at which strength the release was made",
        },
    }
    result["gates"] = [
        {
            "expression": f"reid.adaptive.auc.upper<{i}",
            "found": 10.0 ** (i * 20 - 300),
            "passed": i % 2 == 0,
            "reason": "",
        }
        for i in range(30)
    ]
    result["header"] |= {"values": 10**15, "by_form": {}, "by_place": {}}
    return result


def hostile():
    """Names and texts that want to be markup; no path stands in them, so the schema lets them pass."""
    result = copy.deepcopy(assessed())
    evil = {EVIL: 1}
    result["reid"]["adaptive"]["attacker"] = EVIL
    result["reid"]["attackers"] = {EVIL: result["reid"]["attackers"]["mami"]}
    result["reid"]["words"] = result["linkage"]["words"] = EVIL
    result["linkage"]["methods"] = {EVIL: link(0.5)}
    result["inversion"]["methods"] = {EVIL: result["inversion"]["methods"]["fixed_point"]}
    result["text"]["reason"] = result["face"]["reason"] = EVIL
    result["release"]["modalities"] = dict(evil)
    result["manifest"]["options"] = {EVIL: EVIL}
    result["manifest"]["models"] = {EVIL: "3f" * 32}
    result["tool"] = {"name": EVIL, "version": EVIL}
    findings = result["utility"]["classifier"]["findings"]
    result["utility"]["classifier"]["findings"] = {EVIL: findings["Effusion"]}
    result["header"]["uniqueness"]["quasi_identifiers"] = [EVIL]
    for point in result["plane"]["strengths"].values():
        point |= {"attacker": EVIL, "attackers": {EVIL: point["auc"]}}
        point["findings"] = {EVIL: point["findings"]["Edema"]}
    result["plane"]["basis"] = EVIL
    result["gates"] = [{"expression": EVIL, "found": 1, "passed": False, "reason": EVIL}]
    return result


SAMPLES = {
    make.__name__: make for make in (assessed, no_link, nothing_assessed, release_alone, extreme, hostile)
}
