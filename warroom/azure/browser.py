"""The page where a person enters the code of a device code sign-in. No sockets."""

from __future__ import annotations

from html import escape

from warroom.azure.entra import DEVICE_LOGIN, Entra
from warroom.azure.exchange import Answer, Recorded, html_page

HOST, _, PATH = DEVICE_LOGIN.removeprefix("https://").partition("/")
FORM = """<form method="post">
<label>Code <input name="code" autofocus></label>
<button name="answer" value="approve">Approve</button>
<button name="answer" value="decline">Decline</button>
</form>"""


class Browser:
    """Answers for the host of that page, which anybody may use in the person's place."""

    def __init__(self, entra: Entra) -> None:
        self.entra = entra

    def _enter(self, code: str, answer: str) -> Answer:
        ends = {"approve": self.entra.approve, "decline": self.entra.decline}
        if answer not in ends:
            return html_page(400, "The answer is approve or decline.")
        try:
            ends[answer](code)
        except KeyError:
            shown = escape(code)
            return html_page(404, f"No sign-in waits for the code '{shown}'.")
        return html_page(200, f"The answer was: {answer}. You may close this page.")

    def answer(self, request: Recorded) -> Answer:
        """Show the page (GET), or take its `code` and `answer`, a form (POST)."""
        if request.path != f"/{PATH}":
            return html_page(404, "Not Found")
        if request.method == "GET":
            return html_page(200, FORM)
        if request.method != "POST" or request.repeated:
            return html_page(400, "Bad Request")
        form = request.form
        code = form.get("code", "").strip().upper()
        return self._enter(code, form.get("answer", ""))
