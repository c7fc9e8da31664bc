"""The parts of an audit put together, with sentences about what was not measured."""

from qd_fool.commands.audit.fooling import worst_pictures
from qd_fool.commands.audit.judgement import LEAST_PICTURES, Sanity
from qd_fool.commands.audit.sanity import warning_of
from qd_fool.commands.audit.subject import AuditSubject
from qd_fool.judge.audit.report import SCHEMA_VERSION, AuditReport, Method, Picture, Settings


def make_report(
    subject: AuditSubject,
    sanity: Sanity,
    settings: Settings,
    methods: list[Method],
    ranked: dict[str, list[tuple[float, Picture]]],
    notes: list[str],
) -> AuditReport:
    """Put the parts of an audit together.

    Args:
      subject: Classifier that was audited.
      sanity: The classifier before the searches.
      settings: Settings of the audit.
      methods: Results of the methods.
      ranked: Fooling pictures of the searches with their log-odds, the most confident first.
      notes: Sentences about what was left out.
    """
    warnings = [text for text in [warning_of(sanity.preprocessings)] if text]
    photos = sanity.report
    if photos is not None and photos.accuracy.high < 0.5:
        warnings.append(
            f"The accuracy on photographs is {photos.accuracy.value:.1%}: check weights, classes "
            "and preprocessing before anything else."
        )
    return AuditReport(
        schema_version=SCHEMA_VERSION,
        network=subject.facts(logits=sanity.gives_logits),
        settings=settings,
        photographs=photos,
        preprocessings=sanity.preprocessings,
        probes=sanity.probes,
        methods=tuple(methods),
        worst=worst_pictures(ranked),
        warnings=tuple(warnings),
        not_measured=tuple(_not_measured(subject, sanity, methods, settings) + notes),
    )


def _not_measured(
    subject: AuditSubject, sanity: Sanity, methods: list[Method], settings: Settings
) -> list[str]:
    notes = []
    if isinstance(subject.photographs, str):
        notes.append(
            "Accuracy, calibration, preprocessing, shuffled patches and detectors: not measured. "
            f"{subject.photographs}"
        )
    if not subject.gradient:
        notes.append(
            "Gradient ascent: not measured, because this classifier gives no gradient. A search "
            "with the weights at hand may find more than is found here."
        )
    if not sanity.gives_logits:
        notes.append(
            "Maximum logit and energy: not measured, because the classifier gives probabilities."
        )
    scorer = subject.scorer
    if scorer.multilabel:
        notes.append(
            "Detectors from the softmax: not measured, because labels hold independently of each "
            "other. Each confidence is that of a label against its own absence."
        )
    if len(scorer.class_names) == 2 and subject.unknown is None and not scorer.multilabel:
        notes.append(
            "Every picture claims one of the two classes at 0.5 or more, so that counts of shown "
            "pictures say little. If one class is the right answer to a picture that shows "
            "nothing, --unknown names it, and only the other class counts."
        )
    for method in methods:
        if sanity.report is not None and not method.detectors:
            notes.append(
                f"Detectors against {method.name}: not measured, because fewer than "
                f"{LEAST_PICTURES} of its pictures reach a confidence of 0.5."
            )
        tried, known = len(method.classes), len(subject.targets)
        if method.kind == "search" and tried < known:
            notes.append(
                f"The {method.name} method tried {tried} of {known} classes, drawn at random, "
                "because its share of the budget suffices for no more."
            )
    notes.append(
        f"A class that was not fooled within {settings.budget:,} evaluations may be fooled with "
        "more. Other encodings, longer searches and pictures near photographs (adversarial "
        "examples) were not tried."
    )
    notes.append(
        "No person has looked at the pictures: a picture that happens to resemble its class counts "
        "as fooled, too."
    )
    return notes
