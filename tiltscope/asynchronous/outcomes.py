"""What an analysis found: its result, the rows behind it and its files."""

from pathlib import Path

import httpx

from tiltscope.asynchronous.pages import Pages
from tiltscope.asynchronous.transport import Transport
from tiltscope.connection import Call, unreachable
from tiltscope.documents import Artifact, ArtifactList, PromptRow, PromptRowList, Sample, SampleList
from tiltscope.files import replacing
from tiltscope.result import Result

PATH = "/v1/analyses"


class Outcomes:
    """The part of `client.analyses` that reads what was found."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def result(self, analysis_id: str) -> Result:
        """What an analysis found.

        Raises:
            ConflictError: there is no result, or not yet (`result_not_ready`).
        """
        return await self._transport.document(Call("GET", f"{PATH}/{analysis_id}/result"), Result)

    def prompts(
        self, analysis_id: str, *, sort: str | None = None, order: str | None = None, limit: int | None = None
    ) -> Pages[PromptRow]:
        """What was found about each prompt.

        Args:
            analysis_id: Its id.
            sort: `regime`, `gain` or `price`; by default the order of the request.
            order: `asc` or `desc`.
            limit: At most so many.
        """
        call = Call("GET", f"{PATH}/{analysis_id}/prompts", {"sort": sort, "order": order})
        return Pages(self._transport, call, PromptRowList, lambda page: page.data, limit)

    def samples(
        self,
        analysis_id: str,
        *,
        prompt_id: str | None = None,
        side: str | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> Pages[Sample]:
        """What the models wrote, and how it was judged.

        Args:
            analysis_id: Its id.
            prompt_id: Only of this prompt.
            side: Only of this side, such as `reference`.
            outcome: Only those judged so, such as `correct`.
            limit: At most so many.
        """
        params = {"prompt_id": prompt_id, "side": side, "outcome": outcome}
        call = Call("GET", f"{PATH}/{analysis_id}/samples", params)
        return Pages(self._transport, call, SampleList, lambda page: page.data, limit)

    async def report(self, analysis_id: str, path: str | Path | None = None) -> bytes:
        """The self-contained HTML report; also written to `path`, if given."""
        response = await self._transport.send(Call("GET", f"{PATH}/{analysis_id}/report"))
        if path is not None:
            Path(path).write_bytes(response.content)
        return response.content

    def artifacts(self, analysis_id: str) -> Pages[Artifact]:
        """The files of a finished analysis."""
        call = Call("GET", f"{PATH}/{analysis_id}/artifacts")
        return Pages(self._transport, call, ArtifactList, lambda page: page.data, paged=False)

    async def download(self, analysis_id: str, name: str, path: str | Path) -> Path:
        """Stream one of its files to disk; a file that arrived half is never left under its name.

        Raises:
            UnreachableError: the connection broke.
        """
        call = Call("GET", f"{PATH}/{analysis_id}/artifacts/{name}")
        with replacing(Path(path)) as file:
            try:
                async with self._transport.open(call) as response:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
            except httpx.TransportError as error:
                raise unreachable(self._transport.url, error) from error
        return Path(path)
