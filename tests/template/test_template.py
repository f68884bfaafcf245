"""The template's guarantees, checked against the template and the code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from likeness.adapters.event_bus import SOURCE
from likeness.adapters.table.generation_items import generation_key
from likeness.adapters.table.items import asset_key, session_key
from tests.template.conditions import implied, references
from tests.template_file import MACHINES, RESOURCES, ROOT, TEMPLATE

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}

#: Actions without resource-level permissions; nothing else may name every resource.
WILDCARDS_ALLOWED = {"LogDelivery"}


def test_the_contract_of_parameters_and_outputs() -> None:
    assert set(TEMPLATE["Parameters"]) == {
        "CrunBaseUrl", "CrunApiKey", "PublicBaseUrl", "PythonRuntime", "Architecture", "LinkCheckDelaySeconds",
        "PollFirstDelaySeconds", "PollBackoffRate", "PollMaxDelaySeconds", "PollDeadlineSeconds", "PollDelayWeight",
        "UploadRetentionDays",
        "MaxAttemptsPerSession", "CrunRequestsPer10s", "CreateSessionConcurrency", "BackgroundConcurrency",
        "ConsentVersion", "OperatorName", "OperatorContact", "LogLevel", "DomainName", "CertificateArn", "Firewall",
        "VideoMaxPixels", "AssetUrlLoopback", "WebhookPrivateAddresses", "WebhookRetrySeconds", "WebhookTries",
        "Alarms", "AlarmEmail", "CreditsLowThreshold", "Dashboard", "LogRetentionDays", "PermissionsBoundary",
        "InventoryHours", "InventoryRetentionDays", "RecheckDays", "Reconcile", "FaceCheckSignIn",
        "ConsentPurposes", "ConsentValidDays", "ConsentLongestDays", "OnWithdrawal", "WithdrawalGraceDays",
        "Generation", "GenerationModels", "GenerationDailyCredits", "GenerationDeadlineSeconds",
        "GenerationRetentionDays",
    }  # fmt: skip
    assert set(TEMPLATE["Outputs"]) == {
        "ApiUrl", "RestApiId", "TableName", "UploadBucketName", "OnboardingQueueUrl", "OnboardingDeadLetterQueueUrl",
        "StateMachineArn", "GenerationStateMachineArn", "EventBusName", "CrunApiKeySecretArn", "DomainTarget",
        "AlarmTopicArn",
    }  # fmt: skip
    defaults = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()}
    assert defaults["LinkCheckDelaySeconds"] == 330
    assert (defaults["PythonRuntime"], defaults["Architecture"]) == ("python3.13", "arm64")
    assert TEMPLATE["Parameters"]["CrunApiKey"]["NoEcho"] is True


def _statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            document = policy.get("PolicyDocument", policy) if isinstance(policy, dict) else {}
            found += [(name, each) for each in document.get("Statement", [])]
    return found


def test_no_policy_is_wider_than_necessary() -> None:
    statements = _statements()
    assert len(statements) > 20
    for name, statement in statements:
        if statement.get("Sid") in WILDCARDS_ALLOWED:
            continue
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources, (name, statement)
        for action in statement["Action"]:
            assert "*" not in action, (name, action)


def _names_read(module: Path) -> set[str]:
    """Returns the settings that a module's code reads: the arguments of text() and number()."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in ("text", "number", "_secret"):
                found.add(str(node.args[0].value))
    return found


def _settings_of(function: str) -> set[str]:
    """Returns the settings that functions/<function>/app.py reads, directly and through its factory in bootstrap."""
    source = ROOT / "layers/likeness/likeness/runtime/bootstrap.py"
    makers = {node.name: node for node in ast.parse(source.read_text()).body if isinstance(node, ast.FunctionDef)}
    app = ROOT / "functions" / function / "app.py"
    called_here = [node.func for node in ast.walk(ast.parse(app.read_text())) if isinstance(node, ast.Call)]
    found, seen, todo = _names_read(app), set(), {getattr(each, "attr", "") for each in called_here}
    while todo:
        name = todo.pop()
        if name not in makers or name in seen:
            continue
        seen.add(name)
        for node in ast.walk(makers[name]):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "id", "")
            todo.add(called)
            if called in ("text", "number", "_secret") and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_gets_only_the_settings_that_it_reads(name: str) -> None:
    folder = FUNCTIONS[name]["CodeUri"].removeprefix("functions/")
    given = set(FUNCTIONS[name].get("Environment", {}).get("Variables", {}))
    assert given == _settings_of(folder)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_has_the_same_name_everywhere(name: str) -> None:
    folder = FUNCTIONS[name]["CodeUri"].removeprefix("functions/")
    assert "".join(part.capitalize() for part in folder.split("_")) + "Function" == name
    assert [file.name for file in (ROOT / "functions" / folder).glob("*.py")] == ["app.py"]
    assert (ROOT / "events" / f"{folder}.json").is_file()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_writes_to_a_log_group_with_a_retention(name: str) -> None:
    assert FUNCTIONS[name]["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}Logs"}
    assert RESOURCES[f"{name}Logs"]["Type"] == "AWS::Logs::LogGroup"


def test_every_log_has_the_retention_that_the_operator_sets() -> None:
    groups = [each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::Logs::LogGroup"]
    kept = [each.get("RetentionInDays") for each in groups]
    assert len(kept) > 25
    assert all(each == {"Ref": "LogRetentionDays"} for each in kept)
    parameter = TEMPLATE["Parameters"]["LogRetentionDays"]
    assert parameter["Default"] == 30
    # The API has no enumeration: the values are in its documentation.
    logs: Any = botocore.session.get_session().get_service_model("logs")
    documented = logs.shape_for("Days").documentation.partition("Possible values are:")[2].partition("</p>")[0]
    assert parameter["AllowedValues"] == [int(each) for each in re.findall(r"\d+", documented)]


@pytest.mark.parametrize("name", [name for name, each in RESOURCES.items() if "Condition" in each])
def test_a_conditional_resource_is_referred_to_only_under_its_condition(name: str) -> None:
    """Otherwise CloudFormation refuses the template when the condition is false."""
    wanted = RESOURCES[name]["Condition"]
    body = yaml.safe_load((ROOT / "dashboard/body.yaml").read_text("utf-8"))
    places = {**RESOURCES, **{f"output {each}": output for each, output in TEMPLATE["Outputs"].items()}, "body": body}
    for place, each in places.items():
        for referred, under in references(each):
            given = [each["Condition"], *under] if "Condition" in each else under
            assert referred != name or wanted in set().union(*map(implied, given)), place


def test_failed_background_events_are_kept() -> None:
    called_later = {
        name: function
        for name, function in FUNCTIONS.items()
        if any(event["Type"] not in ("Api", "SQS", "DynamoDB") for event in function.get("Events", {}).values())
    }
    assert set(called_later) == {
        "CheckUploadFunction", "ExportInventoryFunction", "RecheckAssetsFunction", "CheckCreditsFunction",
        "ReconcileFunction",
    }  # fmt: skip
    for name, function in called_later.items():
        places = [function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]]
        places += [event["Properties"]["DeadLetterConfig"]["Arn"] for event in function["Events"].values()]
        for place in places:
            assert RESOURCES[place["Fn::GetAtt"].split(".")[0]]["Type"] == "AWS::SQS::Queue", name


def _dead_letters_of(queue: str) -> str:
    target: str = RESOURCES[queue]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
    return target.split(".")[0]


def test_every_consumed_queue_has_dead_letters_and_returns_only_failed_messages() -> None:
    events = [event for function in FUNCTIONS.values() for event in function.get("Events", {}).values()]
    read = [event["Properties"] for event in events if event["Type"] == "SQS"]
    assert len(read) == 2
    for properties in read:
        dead_letters = _dead_letters_of(properties["Queue"]["Fn::GetAtt"].split(".")[0])
        assert RESOURCES[dead_letters]["Type"] == "AWS::SQS::Queue"
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_stream_delivers_only_sessions_assets_and_generations_and_retries_them_until_they_expire() -> None:
    (function,) = [
        each for each in FUNCTIONS.values() for event in each.get("Events", {}).values() if event["Type"] == "DynamoDB"
    ]
    (event,) = function["Events"].values()
    properties = event["Properties"]
    assert properties["Stream"] == {"Fn::GetAtt": "Table.StreamArn"}
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    assert RESOURCES["Table"]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (pattern,) = [json.loads(each["Pattern"]) for each in properties["FilterCriteria"]["Filters"]]
    assert pattern == {"dynamodb": {"NewImage": {"sk": {"S": ["SESSION", "GENERATION", {"prefix": "ASSET#"}]}}}}
    assert session_key("x")["sk"] == {"S": "SESSION"}
    assert asset_key("x", "y")["sk"]["S"].startswith("ASSET#")
    assert generation_key("x")["sk"] == {"S": "GENERATION"}
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["MaximumRecordAgeInSeconds"] == 86400, "a stream keeps its records for a day"
    place = properties["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"].split(".")[0]
    assert RESOURCES[place]["Type"] == "AWS::SQS::Queue"


def test_a_rule_that_may_send_only_to_the_webhook_queue_delivers_client_events() -> None:
    rule = RESOURCES["WebhookRule"]["Properties"]
    assert rule["EventPattern"] == {"source": [SOURCE], "detail": {"client_id": [{"exists": True}]}}
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": "WebhookQueue.Arn"}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "WebhookDeadLetterQueue.Arn"}}
    allowed = [
        each
        for each in RESOURCES["WebhookQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    ]
    assert [each["Condition"] for each in allowed] == [
        {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "WebhookRule.Arn"}}}
    ]


def test_a_run_sends_one_webhook_and_private_addresses_are_refused_by_default() -> None:
    (event,) = FUNCTIONS["SendWebhooksFunction"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1
    assert RESOURCES["WebhookQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == {"Ref": "WebhookTries"}
    assert TEMPLATE["Parameters"]["WebhookPrivateAddresses"]["Default"] == "refused"


@pytest.mark.parametrize(
    ("pauses", "good"),
    [("1", True), ("0,43000", True), ("5,300,42999", True), ("43001", False), ("5,99999", False), ("5,", False)],
)
def test_a_delay_beyond_the_limit_of_sqs_is_refused_by_the_deployment(pauses: str, good: bool) -> None:
    parameter = TEMPLATE["Parameters"]["WebhookRetrySeconds"]
    assert bool(re.fullmatch(parameter["AllowedPattern"], pauses)) is good
    assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])


def test_every_queue_is_encrypted() -> None:
    queues = [each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::SQS::Queue"]
    assert len(queues) == 7
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues)


def test_concurrency_is_reserved_only_when_the_operator_bounds_sessions() -> None:
    assert TEMPLATE["Parameters"]["CreateSessionConcurrency"]["Default"] == 0
    unbounded = {"Fn::Equals": [{"Ref": "CreateSessionConcurrency"}, 0]}
    assert TEMPLATE["Conditions"]["CreateSessionIsReserved"] == {"Fn::Not": [unbounded]}
    key = "ReservedConcurrentExecutions"
    either = ["CreateSessionIsReserved", {"Ref": "CreateSessionConcurrency"}, {"Ref": "AWS::NoValue"}]
    reserved = {name: each[key] for name, each in FUNCTIONS.items() if key in each}
    assert reserved == {"CreateSessionFunction": {"Fn::If": either}}


def test_a_domain_and_a_firewall_exist_only_when_they_are_enabled() -> None:
    conditions = {name: each.get("Condition") for name, each in RESOURCES.items() if each.get("Condition")}
    assert {conditions[name] for name in ("ApiDomain", "ApiDomainMapping")} == {"HasDomain"}
    assert {conditions[name] for name in ("ApiFirewall", "ApiFirewallAssociation")} == {"HasFirewall"}
    defaults = {name: each.get("Default") for name, each in TEMPLATE["Parameters"].items()}
    assert (defaults["DomainName"], defaults["CertificateArn"], defaults["Firewall"]) == ("", "", "off")
    for each in RESOURCES["ApiFirewall"]["Properties"]["Rules"]:
        # A sample is a request, and its URL may contain a callback's signature.
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False


def test_resources_with_the_inventory_or_files_are_kept_when_the_stack_is_deleted() -> None:
    kinds = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")
    kept = {name: each for name, each in RESOURCES.items() if each["Type"] in kinds and name != "IdempotencyTable"}
    assert set(kept) == {"Table", "UploadBucket", "InventoryBucket"}
    assert {each["UpdateReplacePolicy"] for each in kept.values()} == {"Retain"}
    for name, each in kept.items():
        # A rolled-back creation leaves nothing except for what CloudFormation cannot delete.
        protected = each["Properties"].get("DeletionProtectionEnabled", False)
        assert protected is (name == "Table")
        assert each["DeletionPolicy"] == ("Retain" if protected else "RetainExceptOnCreate")


def test_an_export_is_private_versioned_encrypted_and_has_a_retention() -> None:
    bucket = RESOURCES["InventoryBucket"]
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["VersioningConfiguration"]["Status"] == "Enabled"
    assert properties["BucketEncryption"]
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "InventoryRetentionDays"})
    assert "Prefix" not in rule
    (statement,) = RESOURCES["InventoryBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_schedules_can_be_disabled_and_only_one_role_may_scan() -> None:
    clocks = {
        name: event["Properties"]
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Schedule"
    }
    switches = {name: each["State"]["Fn::If"][0] for name, each in clocks.items() if "State" in each}
    assert set(clocks) == {
        "ExportInventoryFunction", "RecheckAssetsFunction", "CheckCreditsFunction", "ReconcileFunction",
    }  # fmt: skip
    assert TEMPLATE["Conditions"][switches.pop("ReconcileFunction")] == {"Fn::Equals": [{"Ref": "Reconcile"}, "on"]}
    for name, switch in switches.items():
        ((_, (compared,)),) = TEMPLATE["Conditions"][switch].items()
        setting = compared["Fn::Equals"][0]["Ref"]
        assert compared["Fn::Equals"][1] == 0
        assert {"Ref": setting} in FUNCTIONS[name]["Environment"]["Variables"].values()
    assert {name for name, each in _statements() if "dynamodb:Scan" in each["Action"]} == {"ExportInventoryFunction"}


def test_storage_of_faces_is_private_versioned_and_encrypted() -> None:
    bucket = RESOURCES["UploadBucket"]["Properties"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    table = RESOURCES["Table"]["Properties"]
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    shown = {
        each["IndexName"]: each["Projection"].get("NonKeyAttributes", []) for each in table["GlobalSecondaryIndexes"]
    }
    assert "attempts" not in shown["ClientSessions"], "the index has no byted tokens"
    assert set(shown.pop("ClientAssets")) == {"status", "error", "submitted_at", "activated_at", "asset_type"}
    assert shown.pop("UpstreamIds") == []
    assert shown.pop("Due") == []
    assert set(shown.pop("ClientProgress")) == {
        "status", "last_error", "consent", "attempt_count", "checked_at", "passed_at", "verified_at", "active_at",
    }  # fmt: skip
    assert set(shown) == {"ClientSessions"}
    access_log = RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"]
    assert not {"$context.path", "querystring", "$context.identity"} & set(access_log.split('"'))
    for machine in MACHINES:
        assert RESOURCES[machine]["Properties"]["Logging"]["IncludeExecutionData"] is False


def test_files_are_kept_as_long_as_the_parameter_of_their_prefix() -> None:
    """Of several rules for an object, S3 applies the shortest one, so no rule has an expiration without a prefix."""
    rules = RESOURCES["UploadBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {each["Prefix"]: each["ExpirationInDays"]["Ref"] for each in rules if "ExpirationInDays" in each} == {
        "uploads/": "UploadRetentionDays",
        "inbox/": "UploadRetentionDays",
        "generations/": "GenerationRetentionDays",
    }
    assert all(each["Status"] == "Enabled" for each in rules)


def test_access_logs_name_the_principal_and_the_route_and_never_a_path() -> None:
    access_log = json.loads(RESOURCES["Api"]["Properties"]["AccessLogSetting"]["Format"])
    assert access_log["principal"] == "$context.authorizer.principalId"
    assert access_log["client_id"] == "$context.authorizer.client_id"
    assert access_log["route"] == "$context.resourcePath"
    assert "$context.path" not in access_log.values()


def test_the_table_of_contents_lists_every_section_in_order() -> None:
    text = (ROOT / "template.yaml").read_text()
    sections = re.findall(r"^  # === (.*?) =+$", text, re.MULTILINE)
    contents = re.findall(r"^#   (.*)$", text, re.MULTILINE)
    assert contents == ["Parameters, Conditions, Rules, Globals", *sections, "Outputs"]
    assert len(sections) > 10
