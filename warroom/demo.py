"""Where platform and cloud meet: an instance of the simulated tenant's demo application."""

from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.xsoar.commandline import Args
from warroom.xsoar.instance import credentials, with_defaults


def demo_instance(sign_in: str = "Client Credentials") -> Args:
    """An instance of the simulated tenant's demo application."""
    given = {
        "authentication_type": sign_in,
        "client_id": credentials(CLIENT_ID),
        "tenant_id": TENANT_ID,
        "client_secret": credentials(CLIENT_SECRET),
    }
    return with_defaults(given)
