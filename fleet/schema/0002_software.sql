-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE boxes ADD COLUMN software TEXT;  -- model.messages.Software of the last birth that told it, as JSON
