"""What the diagnostics of a model say in words, and what of the family may help.

Nothing is said without support: a class needs 500 px in 3 images, its objects must be 10, errors
100 px.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from maskmill.metrics import Labels
from maskmill.system.errors import few_of

_IMAGES, _PIXELS, _OBJECTS, _ERRORS = 3, 500, 10, 100  # support, at least
_EXCHANGED = 0.05  # of a class's true pixels
_TOLD = 3  # of each kind, in full
# of the recall of objects; of objects that are less than half found
_UNEVEN_SD, _UNEVEN_SHARE = 0.2, 0.1
_SIZE_GAP = 0.2  # in recall between small and large objects
_HOLED, _BROKEN = 0.01, 0.2  # of the objects' pixels; of the objects found
_RARE, _RARE_RECALL = 0.01, 0.7
_AT_BORDER, _FAR_PX, _FAR = 0.7, 8, 0.3  # shares of the errors

_CONTEXT = ("self_attention_unet", "attention_unet", "se_resnet18_unet", "se_unet", "scse_unet")
_WHOLE = ("unet_pp", "self_attention_unet", "attention_unet", "se_resnet18_unet")
_DETAIL = ("unet_pp", "unet", "resnet18_unet")


@dataclass(frozen=True)
class Weakness:
    """Something that was seen, with its numbers, and what may help."""

    title: str
    text: str
    remedy: str  # "" where there is nothing to do
    kind: str  # indistinction, inconsistency, rarity, distance, none, unsupported


class _Ranked(NamedTuple):
    badness: float
    finding: Weakness


def findings(result: Mapping[str, Any], labels: Labels, known: Sequence[str]) -> list[Weakness]:
    """Both weaknesses in words, then where errors lie, then what is not known.

    All come from `Diagnostics.result`.

    Of each kind the three worst are told in full. Remedies name variants of `known` alone: leave
    out the one that was measured.
    """
    classes = {part["name"]: part for part in result["classes"]}
    told = [name for name in labels.classes if _is_supported(classes[name])]
    objects = {
        name: part
        for name in told
        if (part := classes[name]["objects"]) and part["count"] >= _OBJECTS
    }
    made = _three_worst(_exchanged_pairs(result, told, known))
    made += _three_worst(
        [
            found
            for name, part in objects.items()
            for found in _inconsistent_objects(name, part, known)
        ]
    )
    made += _three_worst(
        [found for name, part in objects.items() for found in _broken_objects(name, part, known)]
    )
    made += _three_worst([found for name in told for found in _is_rare(classes[name])])
    distance = _error_distance(result, known)
    if not made and not any(part.remedy for part in distance):
        made.append(_no_weakness(result, told))
    return (
        made
        + distance
        + _unsupported_classes([name for name in labels.classes if name not in told])
    )


def _three_worst(found: Sequence[_Ranked]) -> list[Weakness]:
    """The three worst, and the names of the others."""
    ranked = sorted(found, key=lambda item: -item.badness)
    made = [item.finding for item in ranked[:_TOLD]]
    if len(ranked) > _TOLD:
        others = few_of([item.finding.title for item in ranked[_TOLD:]], 8, "; ")
        made[-1] = replace(made[-1], text=f"{made[-1].text} Also seen, less so: {others}.")
    return made


def _is_supported(part: Mapping[str, Any]) -> bool:
    return bool(part["images"] >= _IMAGES and part["pixels"] >= _PIXELS)


def _exchanged_pairs(
    result: Mapping[str, Any], told: Sequence[str], known: Sequence[str]
) -> list[_Ranked]:
    chosen = [
        pair
        for pair in result["pairs"]
        if pair["a"] in told and (pair["a_as_b"] or 0) >= _EXCHANGED and pair["images"] >= _IMAGES
        and pair["pixels"] >= _ERRORS
    ]  # fmt: skip
    return [_Ranked(pair["a_as_b"], _pair(pair, result["rules"], known)) for pair in chosen]


def _pair(pair: Mapping[str, Any], rules: Mapping[str, Any], known: Sequence[str]) -> Weakness:
    a, b, back = pair["a"], pair["b"], pair["b_as_a"]
    title = f"{a} and {b} are exchanged" if (back or 0) >= _EXCHANGED else f"{a} is taken for {b}"
    reverse = (
        f"; {_percent(back)} of {b} as {a}"
        if back is not None
        else f"; {b} has no true pixels here"
    )
    place = {
        "at the border": "mostly at the border",
        "inside": "mostly inside",
        "both": "at the border and inside",
        "thin": "which says little, the class being so thin",
    }[pair["where"]]
    text = (
        f"{_percent(pair['a_as_b'])} of the true pixels of {a} are predicted as {b}{reverse} "
        f"({pair['pixels']:,} px in {pair['images']} images). {_percent(pair['at_border'])} of "
        f"them lie within {rules['border_px']} px of a true border, {place}; "
        f"errors spread evenly would have {_percent(pair['at_border_if_even'])} there. "
        f"The mean probability of the wrong class is {pair['confidence']:.2f}, over "
        f"{rules['sure']} at {_percent(pair['sure'])} of them: {_how_sure(pair)}."
    )
    return Weakness(title, text, _pair_remedy(pair, known), "indistinction")


def _how_sure(pair: Mapping[str, Any]) -> str:
    if pair["sure"] >= 0.5:
        return "confident errors"
    return (
        "hesitant errors" if pair["confidence"] < 0.6 else "errors neither confident nor hesitant"
    )


def _pair_remedy(pair: Mapping[str, Any], known: Sequence[str]) -> str:
    if pair["where"] == "thin":
        return (
            "A thin class asks for fine detail: images of a higher resolution, or more weight on "
            "`train.losses.dice`, which counts every class "
            f"alike.{_try('Of the variants, those that keep detail may help', _DETAIL, known)}"
        )
    if pair["where"] == "at the border":
        return (
            "Look at the masks first: where they disagree with each other by a pixel or two, no "
            "network can do better. Otherwise finer skips or a loss on borders are the usual "
            f"means.{_try('Variants that keep detail', _DETAIL, known)}"
        )
    if _how_sure(pair) == "confident errors":
        first = (
            "Confident errors away from borders can be wrong masks: look at the worst images "
            "first. If the masks "
        )
        first += (
            "are right, the two look alike to the network, and more context may tell them apart."
        )
    else:
        first = (
            "More images that show both classes, or a longer training (`train.steps`), may tell "
            "them apart; so may "
        )
        first += "more context."
    return first + _try("Variants with attention", _CONTEXT, known)


def _inconsistent_objects(
    name: str, objects: Mapping[str, Any], known: Sequence[str]
) -> list[_Ranked]:
    if objects["sd"] < _UNEVEN_SD or objects["below_half"] < _UNEVEN_SHARE:
        return []
    text = (
        f"Of {objects['count']} objects of {name}, {_percent(objects['below_half'])} are found to "
        f"less than half and {_percent(objects['above_90'])} to nine tenths or more; "
        f"their recall is {objects['recall']:.2f} on average with a standard deviation of "
        f"{objects['sd']:.2f}."
    )
    sizes = [size for size in objects["by_size"] if size["count"] >= _OBJECTS // 2]
    if len(sizes) > 1 and sizes[-1]["recall"] - sizes[0]["recall"] >= _SIZE_GAP:
        text += f" Small ones are found worse: recall {sizes[0]['recall']:.2f} {_size(sizes[0])}, "
        text += f"{sizes[-1]['recall']:.2f} {_size(sizes[-1])}."
        remedy = (
            "Images of a higher resolution show small objects larger, and `train.losses.dice` "
            "counts a small "
        )
        remedy += f"class like a large one.{_try('Variants that keep detail', _DETAIL, known)}"
    else:
        remedy = (
            "Look at objects that are found badly: do they look unlike the others? Then more "
            "images like them, or "
        )
        remedy += "stronger `augmentation.transforms`, may help; more context too."
        remedy += _try("Variants with attention", _CONTEXT, known)
    finding = Weakness(f"Objects of {name} are found unevenly", text, remedy, "inconsistency")
    return [_Ranked(objects["below_half"], finding)]


def _broken_objects(name: str, objects: Mapping[str, Any], known: Sequence[str]) -> list[_Ranked]:
    holes, fragments = objects["holes"], objects["fragments"]
    seen = []
    if holes["share"] >= _HOLED:
        seen.append(
            f"{_percent(holes['share'])} of the pixels of its objects lie in {holes['count']} "
            f"holes, wrong spots that an object encloses; {_percent(holes['objects'])} of the "
            "objects have one."
        )
    if (fragments["broken"] or 0) >= _BROKEN:
        seen.append(
            f"{_percent(fragments['broken'])} of the objects that are found come in several parts, "
            f"{fragments['mean']:.1f} on average."
        )
    if not seen:
        return []
    text = f"{objects['count']} objects of {name}: {' '.join(seen)}"
    remedy = (
        "The network decides each part by itself; a larger receptive field, attention or deep "
        "supervision may "
    )
    remedy += f"hold objects together.{_try('Variants', _WHOLE, known)}"
    badness = max(holes["share"] / _HOLED, (fragments["broken"] or 0) / _BROKEN)
    return [
        _Ranked(badness, Weakness(f"Objects of {name} fall apart", text, remedy, "inconsistency"))
    ]


def _is_rare(part: Mapping[str, Any]) -> list[_Ranked]:
    if part["share"] >= _RARE or part["recall"] >= _RARE_RECALL:
        return []
    never = part["predicted_pixels"] == 0
    text = (
        f"{part['name']} has {_percent(part['share'])} of the labelled pixels, in {part['images']} "
        "images, and "
        f"{'is never predicted' if never else f'''{_percent(part['recall'])} of them are found'''}."
    )
    remedy = (
        "More images that hold it come first. More weight on `train.losses.dice`, which counts "
        "every class alike, may help; so may training crops (`augmentation.crop_px`) of images in "
        "which it is small."
    )
    title = f"{part['name']} is rare and {'never' if never else 'badly'} found"
    return [_Ranked(1 - part["recall"], Weakness(title, text, remedy, "rarity"))]


def _error_distance(result: Mapping[str, Any], known: Sequence[str]) -> list[Weakness]:
    """Where errors lie; it has a remedy only where many lie far from any border."""
    curve, near = result["by_distance"], result["rules"]["border_px"]
    errors, pixels = sum(part["errors"] for part in curve), result["pixels"]
    if errors < _ERRORS or result["images"] < _IMAGES:
        return []
    close = [part for part in curve if part["to_px"] is not None and part["to_px"] <= near]
    far = [part for part in curve if part["from_px"] >= _FAR_PX]
    at_border, beyond = (sum(part["errors"] for part in parts) / errors for parts in (close, far))
    text = (
        f"{_percent(at_border)} of the errors lie within {near} px of a true border, where "
        f"{_percent(sum(part['pixels'] for part in close) / pixels)} of the pixels are; "
        f"{_percent(beyond)} lie over {_FAR_PX} px away, where "
        f"{_percent(sum(part['pixels'] for part in far) / pixels)} are."
    )
    if beyond >= _FAR:
        remedy = (
            "Errors that far are no matter of detail: whole regions are taken for something else. "
            "Masks that are "
        )
        remedy += (
            "wrong show here too; otherwise more context may "
            f"help.{_try('Variants', _CONTEXT, known)}"
        )
        return [Weakness("Many errors lie far from any border", text, remedy, "distance")]
    title = (
        "Most errors lie at borders"
        if at_border >= _AT_BORDER
        else "Errors lie at borders and away from them"
    )
    return [Weakness(title, text, "", "distance")]


def _no_weakness(result: Mapping[str, Any], told: Sequence[str]) -> Weakness:
    if not told:
        text = (
            f"No class has {_PIXELS} px in {_IMAGES} images: these {result['images']} images are "
            "too few to tell."
        )
        return Weakness("Too little to tell", text, "", "none")
    text = (
        f"In {result['images']} images no pair of classes exchanges {_percent(_EXCHANGED)} of a "
        "class's pixels, and no class is found unevenly, in pieces or with holes beyond the limits "
        "in docs/diagnostics.md. That is no proof that there is nothing: other images may show it."
    )
    return Weakness("Neither weakness stands out", text, "", "none")


def _unsupported_classes(names: Sequence[str]) -> list[Weakness]:
    if not names:
        return []
    text = (
        f"Fewer than {_IMAGES} images or {_PIXELS} px hold {few_of(names, 8)}: nothing is said "
        "about them."
    )
    return [Weakness("Too few to tell", text, "", "unsupported")]


def _try(lead: str, wanted: Sequence[str], known: Sequence[str]) -> str:
    there = [name for name in wanted if name in known][:3]
    return f" {lead}: {', '.join(there)} (`variants`)." if there else ""


def _size(size: Mapping[str, Any]) -> str:
    if size["to_px"] is None:
        return f"from {size['from_px']} px on"
    return f"from {size['from_px']} to {size['to_px']} px"


def _percent(part: float) -> str:
    """With two digits that count; what is small is not rounded to nothing."""
    return f"{100 * part:.0f} %" if part >= 0.1 or part == 0 else f"{100 * part:.2g} %"
