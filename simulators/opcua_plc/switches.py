"""What a simulated PLC is made to do as some servers do."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Switches:
    """Behaviour of this server that a test may change at any time."""

    transfer: bool = True  # TransferSubscriptions works
    modifies: bool = True  # ModifySubscription works
    republish: bool = True  # sent messages can be fetched again
    most_queue: int = 10_000  # RevisedQueueSize at most
    least_sampling_ms: float = 0.0
    least_publish_ms: float = 10.0  # RevisedPublishingInterval at least
    most_lifetime_s: float = 3600.0
    kept_messages: int = 100  # retransmission queue per subscription
    drop_messages: set[int] = field(default_factory=set)  # sequence numbers that are numbered and kept, but not sent
    garble_messages: set[int] = field(default_factory=set)  # sent as rubbish, also when republished
    tells_more: bool = True  # MoreNotifications is set where more follow; some servers never set it
    twice_messages: set[int] = field(default_factory=set)  # sent once more, with the next request
    most_publish_requests: int = 100  # of a connection; beyond it the oldest is refused
    publish_faults: list[int] = field(default_factory=list)  # with what coming PublishRequests are refused
    limits: dict[str, int] = field(default_factory=dict)  # read, items, browse, history, translate: operations per call
    resend_data: bool = True
    get_monitored_items: bool = True
    renewals_refused: int = 0  # so many coming channel renewals fail
    history: bool = False
    # "repeat": the same continuation point for ever; "expire": the second page is refused; "pause": the first page is empty;
    # "interpolated", "hiding": how every value is marked; "bounds": a bound that was not asked for
    history_trick: str = ""
    browse_page: int = 0  # references per answer; 0 is all
    most_subscriptions: int = 1000
    items_fault: int = 0  # CreateMonitoredItems is answered with this fault
    most_items: int = 1_000_000  # of a subscription; a call with one more is refused as a whole
    message_bytes: int = 0  # largest message that is taken, from the next start on; 0 is 100 MB
    tells_message_bytes: bool = True  # the Acknowledge says so
    publish_bytes: int = 0  # largest notification that is sent, else a fault; 0 is any
    browse_points: int = 0  # lists of references that are kept open at once; 0 is any number
    browse_refused: set[str] = field(default_factory=set)  # browse names of nodes that do not tell what lies below them
    condition_refresh: bool = True
    refreshes_in_progress: int = 0  # so many calls of ConditionRefresh are refused, because another is under way
    clauses_refused: set[str] = field(default_factory=set)  # names of event fields that are not known: never sent, and said so once
    condition_types: bool = True  # event filters may name the types of Part 9
    least_keep_alive: int = 1  # RevisedMaxKeepAliveCount at least
    filters: bool = True  # data change filters are taken
