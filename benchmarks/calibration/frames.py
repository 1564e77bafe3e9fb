"""Analysis requests of the study, completed as the gateway completes them."""

from typing import Any

from api_schemas.requests import AnalysisRequest
from workers.pipelines.spec import AnalysisSpec


def spec_of(
    prompts: int,
    *,
    k_probe: int = 256,
    pilot: int = 64,
    most: int = 4096,
    adaptive: bool = True,
    top_p: float = 1.0,
    inverse_temperatures: tuple[float, ...] = (1.0,),
    audit: dict[str, int] | None = None,
) -> AnalysisSpec:
    """A capability analysis of some prompts; everything else at the defaults of the API."""
    body: dict[str, Any] = {
        "kind": "capability",
        "reference": {"model": "reference"},
        "candidate": {"model": "candidate"},
        "prompts": {"inline": [{"id": f"p{i}", "prompt": f"p{i}", "answer": "1"} for i in range(prompts)]},
        "signal": {"kind": "exact"},
        "policy": {"top_p": top_p},
        "budget": {
            "k_probe": k_probe,
            "samples_per_prompt": pilot,
            "max_samples_per_prompt": most,
            "adaptive": adaptive,
        },
        "inverse_temperatures": list(inverse_temperatures),
        "audit": {"counts": audit} if audit else None,
    }
    request = AnalysisRequest.model_validate(body).completed()
    return AnalysisSpec.from_request(request.model_dump(mode="json"))
