# SPDX-License-Identifier: MIT
# Data of the applications that ship with the engine; nothing here is built.
data_folders = graphs rules prompts operate sandbox/scenarios
EXTRA_DIST += graphs rules prompts operate
