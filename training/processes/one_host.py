"""Where the processes of a run on one host meet: on its loopback.

torchrun has two stores, one in which launchers meet and one for the processes that they start. Both trust whoever
connects, and listen on every address of the host. Where there is but one host, these listen on its loopback alone.
"""

import socket
import uuid
from argparse import Namespace

from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler

ADDRESS = "127.0.0.1"
BACKEND = "loopback"
ONE_HOST = ("1", "1:1")  # torchrun's --nnodes


def meet_on_loopback(asked: Namespace) -> None:
    """Change torchrun's options so that a run on one host meets there; those that name a meeting point are obeyed."""
    told = asked.rdzv_endpoint or asked.rdzv_backend != "static" or asked.nnodes not in ONE_HOST
    if told and not asked.standalone:
        return
    rendezvous_handler_registry.register(BACKEND, _create_handler)
    asked.standalone = False
    asked.rdzv_backend, asked.rdzv_endpoint, asked.rdzv_id = BACKEND, f"{ADDRESS}:0", str(uuid.uuid4())
    asked.local_addr = ADDRESS


class _Handler(DynamicRendezvousHandler):
    def get_backend(self) -> str:
        return BACKEND

    def _create_tcp_store_server(self, master_addr: str, master_port: int) -> TCPStore:
        return _create_store()


def _create_handler(parameters: RendezvousParameters) -> DynamicRendezvousHandler:
    store = _create_store()
    backend = C10dRendezvousBackend(store, parameters.run_id)
    return _Handler.from_backend(parameters.run_id, store, backend, 1, 1, parameters.local_addr)


def _create_store() -> TCPStore:
    with socket.socket() as listening:
        listening.bind((ADDRESS, 0))
        listening.listen()
        port = listening.getsockname()[1]
        return TCPStore(
            ADDRESS, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
        )  # the store closes it
