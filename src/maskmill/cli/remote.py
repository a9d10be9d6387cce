"""Where data, models and the cache of runs are kept beside this machine: DVC's default remote."""

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from maskmill.system.errors import MaskmillError
from maskmill.system.repository import run_dvc

NAME = "maskmill"
_PACKAGES = {
    "s3": "dvc_s3",
    "gs": "dvc_gs",
    "azure": "dvc_azure",
    "ssh": "dvc_ssh",
    "https": "dvc_http",
}


def configure(url: str, endpoint: str | None = None) -> None:
    """Make `url` the default remote, whose files are held against their hashes when they come back.

    Written to .dvc/config, which is in git: so no password may be in it. `endpoint` is for S3
    servers other than AWS.
    Raises: MaskmillError for a URL that DVC cannot use here, or one that holds a password.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if any(_secret(given) for given in (url, endpoint or "")):
        raise MaskmillError(
            "remote: a URL holds a user, password or query, and .dvc/config is in git;"
            " leave it out and give it by the environment"
            " (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or by `dvc remote modify --local`"
        )
    if scheme and scheme not in _PACKAGES:
        allowed = ", ".join(f"{known}://" for known in _PACKAGES)
        raise MaskmillError(f"remote: got {url!r}; allowed are a folder, {allowed}")
    if scheme and find_spec(_PACKAGES[scheme]) is None:
        package = _PACKAGES[scheme].replace("_", "-")
        raise MaskmillError(
            f"remote: {scheme}:// needs the package {package}; install it: "
            f".venv/bin/pip install -c constraints.txt {package}"
        )
    if endpoint and scheme != "s3":
        raise MaskmillError(f"remote: --endpoint is for s3:// remotes, got {url!r}")
    location = url if scheme else str(Path(url).expanduser())
    run_dvc("remote", "add", "--force", "--default", NAME, location, what="remote")
    run_dvc("remote", "modify", NAME, "verify", "true", what="remote")
    if endpoint:
        run_dvc("remote", "modify", NAME, "endpointurl", endpoint, what="remote")


def _secret(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password or parts.query or (parts.username and parts.scheme != "ssh"))
