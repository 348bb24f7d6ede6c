"""One model trained by several processes: how they meet, what they write, how they are started"""

from momok.training.sharding.files import write_ranks_checkpoint
from momok.training.sharding.followed_run import FollowedRun
from momok.training.sharding.group import Group, join_group, leads
from momok.training.sharding.launch import start_ranks

__all__ = [
    "FollowedRun",
    "Group",
    "join_group",
    "leads",
    "start_ranks",
    "write_ranks_checkpoint",
]
