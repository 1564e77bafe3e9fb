"""The composition root: settings in, application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool

from ledger.database import connect
from ledger.stores import open_store
from service.api import (
    analyses,
    audit,
    comparisons,
    contract,
    datasets,
    events,
    health,
    imports,
    metrics,
    models,
    pages,
    problems,
    results,
    signals,
    webhooks,
)
from service.api.context import RequestContext
from service.api.dependencies import refuse_unknown_parameters
from service.api.gatekeeper import Gatekeeper
from service.api.loopback import LoopbackOnly
from service.auth.caller import OPEN_CALLER
from service.limits.rate import RateLimiter
from service.metrics.fleet import FleetMetrics
from service.metrics.requests import RequestMetrics
from service.resources import Resources
from service.settings import Settings, is_loopback
from service.wakeups import Wakeups


def create_app(settings: Settings) -> FastAPI:
    """Build the gateway; it touches neither disk nor network before it starts."""
    app = FastAPI(
        title="Tiltscope",
        version=contract.VERSION,
        description=contract.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.state.settings = settings
    # Its own registry: the library's global one would mix several applications of a process.
    app.state.metrics = CollectorRegistry()
    app.state.request_metrics = RequestMetrics(app.state.metrics)
    if settings.auth == "open" and is_loopback(settings.host) and not settings.allow_open:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(Gatekeeper)
    app.add_middleware(RequestContext)
    problems.install(app)
    for part in (
        analyses,
        results,
        comparisons,
        events,
        datasets,
        imports,
        models,
        signals,
        webhooks,
        audit,
        health,
        metrics,
        pages,
    ):
        app.include_router(part.router)
    contract.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    resources = _resources(settings)
    app.state.resources = resources
    app.state.metrics.register(FleetMetrics(resources.engine))
    app.state.event_streams = anyio.CapacityLimiter(settings.max_event_streams)
    resources.wakeups.start()
    try:
        yield
    finally:
        await run_in_threadpool(resources.wakeups.stop)
        resources.engine.dispose()


def _resources(settings: Settings) -> Resources:
    wakeups = Wakeups(
        settings.redis_url,
        timeout_seconds=settings.wakeup_timeout_seconds,
        backlog=settings.wakeup_backlog,
    )
    return Resources(
        engine=connect(settings.ledger_url),
        artefacts=open_store(settings.artefact_store, settings.artefact_root),
        wakeups=wakeups,
        settings=settings,
        caller=OPEN_CALLER,
        rates=RateLimiter(
            settings.redis_url,
            limit=settings.limit("rate_limit"),
            timeout_seconds=settings.wakeup_timeout_seconds,
            pause_seconds=settings.rate_pause_seconds,
        ),
    )
