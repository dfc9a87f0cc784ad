import hashlib

from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.replicas import local_options
from slipstream_testing.observations import make_spec, make_summary


def folder_with_token(tmp_path):
    folder = StateFolder(tmp_path)
    folder.ensure_token()
    return folder


def test_the_token_is_made_once_for_this_user_alone(tmp_path):
    folder = folder_with_token(tmp_path)
    first = folder.token.read_text()

    folder.ensure_token()

    assert folder.token.read_text() == first
    assert (folder.token.stat().st_mode & 0o777, folder.keys.stat().st_mode & 0o777) == (0o600, 0o600)
    assert folder.keys.read_text() == f"default:{hashlib.sha256(first.encode()).hexdigest()}\n"


def test_replicas_ask_for_the_folders_token_unless_everyone_is_let_in(tmp_path):
    folder = folder_with_token(tmp_path)
    closed = local_options(make_spec(), make_summary(), folder)
    opened = local_options(make_spec(serving={"authentication": {"mode": "None"}}), make_summary(), folder)

    assert (closed.authentication, closed.keys_file) == ("keys", str(folder.keys))
    assert (opened.authentication, opened.keys_file) == ("none", "")
