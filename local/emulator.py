"""Runs MiniStack, and adds what it lacks, such as gateway responses, after the deployment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.exceptions
import yaml

from local.processes import StackError, spawn, wait_until_listening
from ops.stack import local_client, physical_id

_SERVICES = (
    "apigateway,cloudformation,cloudwatch,dynamodb,dynamodbstreams,events,iam,kms,lambda,logs,s3,secretsmanager,sns,"
    "sqs,states,sts"
)
_START_SECONDS = 60


def start(port: int, log: Path, scratch: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts MiniStack on loopback only.

    For each running function it unpacks 30 MB into ``scratch``, and never deletes them.
    """
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "INFO",
        "TMPDIR": str(scratch),
        "STATE_DIR": str(scratch),
    }
    inherited = {name: value for name, value in env.items() if name != "AWS_ENDPOINT_URL"}
    return spawn([sys.executable, "-m", "ministack"], log=log, env=inherited | settings)


#: Makes a client of the emulator: ``client(service, endpoint)``.
client = local_client


def outputs(endpoint: str, stack_name: str) -> dict[str, str]:
    """Returns the deployed stack's outputs. Raises StackError when the stack does not exist."""
    try:
        (stack,) = client("cloudformation", endpoint).describe_stacks(StackName=stack_name)["Stacks"]
    except (botocore.exceptions.ClientError, ValueError) as exc:
        raise StackError(f"the stack {stack_name} does not exist after its deployment") from exc
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def deployable(built: Path, scratch: Path, python: str, parameters: Mapping[str, str]) -> Path:
    """Writes a template that MiniStack can deploy next to ``built``, and returns it; layers are linked in ``scratch``.

    MiniStack reads a queue only when MaximumConcurrency is a number, but its parameters are text: the number is written
    into the template, from ``parameters`` or the default. It reads ``on`` and ``off`` as booleans, which no parameter
    equals: their AllowedValues are left out. ``python`` is the version of the functions, such as 3.13.
    """
    template = yaml.safe_load(built.read_text())  # a built template has no short forms
    without_expressions(template)
    for parameter in template["Parameters"].values():
        if "on" in parameter.get("AllowedValues", ()):
            del parameter["AllowedValues"]
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        for event in properties.get("Events", {}).values():
            scaling = event["Properties"].get("ScalingConfig", {})
            for key, value in scaling.items():
                if isinstance(value, dict):
                    default = template["Parameters"][value["Ref"]]["Default"]
                    scaling[key] = int(parameters.get(value["Ref"], default))
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = str(_linked(built.parent / properties["ContentUri"], scratch / name, python))
    file = built.with_name(f"emulator-{scratch.name}.yaml")
    file.write_text(yaml.safe_dump(template, sort_keys=False))
    return file


def without_expressions(template: Any) -> None:
    """Changes each alarm on an expression to the expression's first metric, in place.

    MiniStack rejects alarms on expressions, but the dashboard needs their names.
    """
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            watched = next(each["MetricStat"] for each in properties.pop("Metrics") if "MetricStat" in each)
            properties |= watched["Metric"] | {"Statistic": watched["Stat"], "Period": watched["Period"]}


def _linked(layer: Path, scratch: Path, python: str) -> Path:
    """Returns a layer of one file, which adds a copy of ``layer`` in ``scratch`` to a function's path.

    MiniStack unpacks the layers for each process of each function. Both layers have more than a thousand files, so that
    unpacking took most of the time of a first run. The copy does not change when something else is built.
    """
    copied = shutil.copytree(layer / "python", scratch / "files")
    site = scratch / "layer" / "python" / "lib" / f"python{python}" / "site-packages"
    site.mkdir(parents=True)
    # As on Lambda, the layer is on the path before the host's packages.
    (site / "layer.pth").write_text(f"import sys; sys.path.insert(0, {str(copied)!r})\n")
    return scratch / "layer"


def put_gateway_responses(endpoint: str, rest_api_id: str, template: Path) -> None:
    """Adds the template's GatewayResponses: MiniStack serves them, but does not read them from SAM's OpenAPI body.

    The authorizer needs no such step: MiniStack reads it from the body, so tests notice a route without one.
    """
    api = client("apigateway", endpoint)
    properties = yaml.load(template.read_text(), _TemplateLoader)["Resources"]["Api"]["Properties"]  # noqa: S506
    for response_type, response in properties.get("GatewayResponses", {}).items():
        headers = response.get("ResponseParameters", {}).get("Headers", {})
        status = {"statusCode": str(response["StatusCode"])} if "StatusCode" in response else {}
        api.put_gateway_response(
            restApiId=rest_api_id,
            responseType=response_type,
            responseTemplates=response["ResponseTemplates"],
            responseParameters={f"gatewayresponse.header.{name}": value for name, value in headers.items()},
            **status,
        )
    api.create_deployment(restApiId=rest_api_id, stageName=properties["StageName"])


def put_any_methods(endpoint: str, rest_api_id: str, stack_name: str, template: Path) -> None:
    """Adds the template's routes for any method, which MiniStack does not read from SAM's OpenAPI body either."""
    api = client("apigateway", endpoint)
    paths = {each["path"]: each["id"] for each in api.get_resources(restApiId=rest_api_id, limit=500)["items"]}
    resources = yaml.load(template.read_text(), _TemplateLoader)["Resources"]  # noqa: S506
    for name, resource in resources.items():
        for event in resource["Properties"].get("Events", {}).values():
            route = event["Properties"]
            if event["Type"] != "Api" or route["Method"] != "ANY":
                continue
            function = physical_id(client("cloudformation", endpoint), stack_name, name)
            arn = client("lambda", endpoint).get_function(FunctionName=function)["Configuration"]["FunctionArn"]
            put_route(api, rest_api_id, paths[route["Path"]], "ANY", arn)


def put_route(api: Any, rest_api_id: str, resource_id: str, method: str, function_arn: str) -> None:
    """Connects a method of a resource to a function without an authorizer; ``api`` is a client of apigateway."""
    place = {"restApiId": rest_api_id, "resourceId": resource_id, "httpMethod": method}
    api.put_method(**place, authorizationType="NONE")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    api.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)


class _TemplateLoader(yaml.SafeLoader):
    """Reads a template; short forms of functions become None."""


_TemplateLoader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def wait_until_ready(child: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    """Waits until S3 responds: the port listens before the services are ready."""
    wait_until_listening(child, int(endpoint.rpartition(":")[2]), "the emulator", log, _START_SECONDS)
    for _ in range(100):
        try:
            client("s3", endpoint).list_buckets()
        except botocore.exceptions.BotoCoreError:
            time.sleep(0.1)
        else:
            return
    raise StackError("the emulator listens but does not respond")
