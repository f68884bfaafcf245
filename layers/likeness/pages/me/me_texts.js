// The texts of the page of a personal link in simplified Chinese, English and traditional Chinese (see texts.js).

/** Keys of the texts of the invite page that this page shares. */
export const SHARED = [
  "language", "loading", "asked_by", "operator", "privacy", "no_connection", "timeout", "busy", "failed", "detail", "comma",
  "kind_Image", "kind_Video", "kind_Audio",
];

/** key → [zh, en, zh-Hant] */
export const ME_TEXTS = {
  title: ["我的肖像", "Your likeness", "我的肖像"],
  heading: ["您的肖像，由您决定", "Your likeness, your decision", "您的肖像，由您決定"],
  lead: [
    "这里是我们保存的与您有关的内容，以及您同意过的事项。您可以随时撤回或删除。",
    "This is what is kept of you, and what you agreed to. You can take it back or erase it at any time.",
    "這裡是我們保存的與您有關的內容，以及您同意過的事項。您可以隨時撤回或刪除。",
  ],
  lead_client: [
    "这是客户保留的链接，显示此人的内容和授权。",
    "This link is the client's own. It shows what is kept of the person, and what the person agreed to.",
    "這是客戶保留的連結，顯示此人的內容和授權。",
  ],
  status_given: ["您的授权有效。", "Your consent is valid.", "您的授權有效。"],
  status_given_until: ["您的授权有效期至{date}。", "Your consent is valid until {date}.", "您的授權有效期至{date}。"],
  status_withdrawn: [
    "授权已于{date}撤回，不会再使用您的肖像。",
    "The consent was withdrawn on {date}. Your likeness is not used anymore.",
    "授權已於{date}撤回，不會再使用您的肖像。",
  ],
  status_expired: [
    "授权已于{date}到期，不会再使用您的肖像。",
    "The consent ended on {date}. Your likeness is not used anymore.",
    "授權已於{date}到期，不會再使用您的肖像。",
  ],
  status_missing: ["您尚未同意任何事项。", "You have not agreed to anything.", "您尚未同意任何事項。"],

  agreed_heading: ["您同意的内容", "What you agreed to", "您同意的內容"],
  agreed_on: [
    "您已于{date}同意（版本 {version}）。",
    "You agreed on {date} (version {version}).",
    "您已於{date}同意（版本 {version}）。",
  ],
  agreed_client: [
    "授权由向您发送链接的一方于{date}记录。如果您没有同意，请撤回。",
    "The sender of your link recorded this consent on {date}. If you did not agree, withdraw it.",
    "授權由向您發送連結的一方於{date}記錄。如果您沒有同意，請撤回。",
  ],
  agreed_by_word: [
    "向您发送链接的一方为您的同意负责。如果您没有同意，请撤回。",
    "The sender of your link answers for your consent. If you did not agree, withdraw it.",
    "向您發送連結的一方為您的同意負責。如果您沒有同意，請撤回。",
  ],
  agreed_nothing: ["没有任何记录。", "Nothing is recorded.", "沒有任何記錄。"],
  agreed_text: ["阅读全文", "Read the whole text", "閱讀全文"],
  in_flight: [
    "撤回之前已发送 {count} 项处理，无法召回，其结果不会被使用。",
    "{count} items had been sent before and cannot be recalled. Their results are not used.",
    "撤回之前已發送 {count} 項處理，無法召回，其結果不會被使用。",
  ],

  kept_heading: ["我们保存的内容", "What is kept of you", "我們保存的內容"],
  kept_none: ["没有保存您的文件。", "No file of yours is kept.", "沒有保存您的檔案。"],
  kept_group: ["验证服务中的编号", "Your number at the validation service", "驗證服務中的編號"],
  kept_session: ["您的档案编号", "Your reference number", "您的檔案編號"],
  file_active: ["可使用", "Can be used", "可使用"],
  file_inactive: ["不会被使用", "Is not used", "不會被使用"],
  file_failed: ["未通过检查，不会被使用", "Did not pass the check and is not used", "未通過檢查，不會被使用"],
  file_waiting: ["等待上传", "Waiting for the upload", "等待上傳"],
  file_progress: ["正在处理", "Being processed", "正在處理"],
  file_erased: ["已删除", "Erased", "已刪除"],
  file_number: ["编号 {id}", "Number {id}", "編號 {id}"],

  uses_heading: ["您的肖像用在哪里", "Where your likeness was used", "您的肖像用在哪裡"],
  uses_none: ["尚未用您的肖像制作任何视频。", "No video has been made with your likeness.", "尚未用您的肖像製作任何影片。"],
  uses_more: ["显示更多", "Show more", "顯示更多"],
  use_files: ["使用了您的 {count} 个文件", "Your files in it: {count}", "使用了您的 {count} 個檔案"],
  use_any: ["未注明用途", "No purpose was named", "未註明用途"],
  use_running: ["视频正在制作中。", "The video is being made.", "影片正在製作中。"],
  use_succeeded: ["视频已制作完成。", "A video was made.", "影片已製作完成。"],
  use_withheld: ["视频已制作，但没有保留。", "A video was made, and was not kept.", "影片已製作，但沒有保留。"],
  use_failed: ["制作失败，没有视频。", "It failed. There is no video.", "製作失敗，沒有影片。"],
  use_refused: ["请求被拒绝，没有制作视频。", "It was refused. No video was made.", "請求被拒絕，沒有製作影片。"],
  use_uncertain: ["不确定是否制作了视频。", "It is not known whether a video was made.", "不確定是否製作了影片。"],
  use_canceled: ["已取消，没有制作视频。", "It was canceled. No video was made.", "已取消，沒有製作影片。"],

  link_heading: ["您的个人链接", "Your personal link", "您的個人連結"],
  link_lead: [
    "请妥善保存此链接：拥有它的人可以查看本页、撤回授权或删除内容。",
    "Keep this link safe. Whoever has it can see this page, withdraw and erase.",
    "請妥善保存此連結：擁有它的人可以檢視本頁、撤回授權或刪除內容。",
  ],
  link_code: ["您的个人链接的二维码", "QR code of your personal link", "您的個人連結的 QR 碼"],
  print: ["打印凭证", "Print the receipt", "列印憑證"],
  download: ["下载数据文件（JSON）", "Download as data (JSON)", "下載資料檔案（JSON）"],
  downloading: ["正在下载…", "Downloading…", "正在下載…"],
  renew: ["更换链接", "Renew the link", "更換連結"],
  renew_heading: ["更换您的链接？", "Renew your link?", "更換您的連結？"],
  renew_lead: [
    "您现在的链接将失效，打印件上的也一样。本页会显示新链接，请重新保存或打印。",
    "The link that you have now stops working, also a printed one. This page shows the new one: save or print it.",
    "您現在的連結將失效，列印件上的也一樣。本頁會顯示新連結，請重新保存或列印。",
  ],
  renewing: ["正在更换…", "Renewing…", "正在更換…"],
  renewed: [
    "链接已更换，之前的链接已失效。",
    "Your link was renewed. The earlier one does not work anymore.",
    "連結已更換，之前的連結已失效。",
  ],

  withdraw_heading: ["撤回或删除", "Take it back", "撤回或刪除"],
  withdraw: ["撤回授权", "Withdraw the consent", "撤回授權"],
  withdraw_ask: ["撤回您的授权？", "Withdraw your consent?", "撤回您的授權？"],
  withdraw_lead: [
    "立即生效，无需理由。之后不会再用您的肖像制作新视频。只有您本人可以再次同意。",
    "It takes effect at once, without a reason. No new video is made with your likeness. Only you can agree again.",
    "立即生效，無需理由。之後不會再用您的肖像製作新影片。只有您本人可以再次同意。",
  ],
  withdrawing: ["正在撤回…", "Withdrawing…", "正在撤回…"],
  erase: ["删除全部内容", "Erase everything", "刪除全部內容"],
  erase_ask: ["永久删除全部内容？", "Erase everything for good?", "永久刪除全部內容？"],
  erase_files: ["您的文件会从我们的存储中删除。", "Your files are deleted from our storage.", "您的檔案會從我們的儲存中刪除。"],
  erase_use: ["不会再使用您的肖像。", "Your likeness is not used anymore.", "不會再使用您的肖像。"],
  erase_left: [
    "仅保留编号、时间和同意记录作为证明，不含您的姓名或影像。",
    "Only numbers, times and the record of your consent stay as proof, without your name or picture.",
    "僅保留編號、時間和同意記錄作為證明，不含您的姓名或影像。",
  ],
  erase_upstream: [
    "验证服务无法由我们删除，将由运营方代您提出要求。",
    "The validation service cannot be erased from here. The operator asks for it in your name.",
    "驗證服務無法由我們刪除，將由營運方代您提出要求。",
  ],
  erase_final: ["此操作无法撤销。", "This cannot be undone.", "此操作無法復原。"],
  erase_sure: ["是的，永久删除", "Yes, erase everything", "是的，永久刪除"],
  erasing: ["正在删除…", "Erasing…", "正在刪除…"],
  keep: ["取消", "Cancel", "取消"],

  contact_heading: ["联系我们", "Questions?", "聯絡我們"],
  contact: [
    "请联系运营方，并提供您的档案编号。",
    "Contact the operator, and name your reference number.",
    "請聯絡營運方，並提供您的檔案編號。",
  ],
  contact_sender: [
    "请联系向您发送链接的一方，并提供您的档案编号。",
    "Contact the sender of your link, and name your reference number.",
    "請聯絡向您發送連結的一方，並提供您的檔案編號。",
  ],

  gone_heading: ["全部内容已删除", "Everything is erased", "全部內容已刪除"],
  gone: [
    "您的文件和个人信息已于{date}删除。证明编号：{id}",
    "Your files and personal details were erased on {date}. The number of the proof is {id}",
    "您的檔案和個人資訊已於{date}刪除。證明編號：{id}",
  ],
  gone_soon: [
    "您的内容正在删除。证明编号：{id}",
    "Your files and personal details are being erased. The number of the proof is {id}",
    "您的內容正在刪除。證明編號：{id}",
  ],
  refused_heading: ["此链接无效", "This link does not work", "此連結無效"],
  refused: [
    "链接可能不完整、已更换或已撤销。请使用您最新的链接，或联系运营方。",
    "It may be incomplete, renewed or revoked. Use your newest link, or contact the operator.",
    "連結可能不完整、已更換或已撤銷。請使用您最新的連結，或聯絡營運方。",
  ],
  retry: ["重试", "Try again", "重試"],
  trouble_heading: ["暂时无法显示", "This page cannot be shown now", "暫時無法顯示"],

  sheet_heading: ["授权凭证", "Receipt of your consent", "授權憑證"],
  sheet_to: ["授权给", "Given to", "授權給"],
  sheet_at: ["同意时间", "Agreed on", "同意時間"],
  sheet_version: ["文本版本", "Version of the text", "文字版本"],
  sheet_status: ["打印时的状态", "When this was printed", "列印時的狀態"],
  sheet_digest: ["文本的校验值（SHA-256）", "Digest of the text (SHA-256)", "文字的校驗值（SHA-256）"],
  sheet_way: [
    "用此链接可查看保存的内容，随时撤回授权或删除。请妥善保管本页。",
    "With this link you can see what is kept of you, withdraw your consent and erase everything, at any time. Keep this sheet safe.",
    "用此連結可檢視保存的內容，隨時撤回授權或刪除。請妥善保管本頁。",
  ],
};
