"""Targeted-transfer jobs."""

from app.errors import InvalidRequestError
from app.schemas.jobs import JobCreate
from app.services.context import Context
from app.services.datasets import drawn_from, require_dataset, require_measurable, require_weights, summary_of
from app.services.estimates import Sizes
from app.services.manifests import plan_manifest_job, refuse_manifest_fields
from app.services.selections import find_pair
from app.services.submission import Plan
from app.store.jobs import insert_job
from app.store.records import JobRecord


def plan_job(context: Context, request: JobCreate) -> Plan[JobRecord]:
    """Check a job.

    Raises:
        InvalidRequestError: If the job could not succeed on these datasets, its weights are not there, or there is no
            MLflow to tell.
        NotReadyError: If a dataset is not inspected yet, or the selection has not succeeded.
        UnavailableError: If the selection's manifest cannot be read.
    """
    require_weights(context, request)
    _require_mlflow(context, request)
    if request.selection is None:
        refuse_manifest_fields(request)
        return _plan_selecting_job(context, request)
    target = require_dataset(context, request.target, field="target")
    return plan_manifest_job(context, request, selection_id=request.selection, target=target)


def _require_mlflow(context: Context, request: JobCreate) -> None:
    if request.mlflow is not None and not context.settings.mlflow_uri:
        raise InvalidRequestError.of_field(
            "mlflow", "this service has no MLflow to tell (OT3L_MLFLOW_URI): leave it out, or ask the operator"
        )


def _plan_selecting_job(context: Context, request: JobCreate) -> Plan[JobRecord]:
    target, source = find_pair(context, request)
    require_measurable(target, field="target", size=request.pool_size, size_field="pool_size")
    if summary_of(target)["n_test"] == 0:
        raise InvalidRequestError.of_field(
            "target", f"{target.name!r} has no test split: register it again with a test_fraction above 0"
        )
    body = request.settings() | {"target": target.name, "source": source.name if source else None}
    return Plan(
        JobRecord,
        body,
        datasets=(target, source),
        sizes=Sizes(
            pool=drawn_from(target, request.pool_size),
            test=drawn_from(target, request.test_size, split="n_test"),
            source=drawn_from(source, request.source_size) if source else 0,
        ),
        add=lambda origin: insert_job(
            context.session, origin, target=target, source=source, request=body, described=request.columns
        ),
        is_one_row=True,
    )
